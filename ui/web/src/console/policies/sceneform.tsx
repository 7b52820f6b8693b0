/** A scene as a form: which layers, board, plan and view a wall shows for an occasion; the view is taken from a map. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { Icon } from "../../common/icon";
import { lang, t, type Key } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { LayerTree } from "../../common/types";
import { createMap, type TwinMap } from "../../mapkit";
import * as s from "../state";
import { at, Both, choices, Field, loadChoices, Pick, Tags, Text, Tick, type Option } from "./fields";
import * as p from "./store";

const named = (group: string, keys: string[]): Option[] => keys.map((key) => ({ key, title: { zh: t(`${group}.${key}` as Key), en: t(`${group}.${key}` as Key) } }));

interface View { lon: number; lat: number; zoom: number; bearing?: number; pitch?: number }

/** The map as the scene opens it; moved to where it should look, its view is taken over. */
function Camera() {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const view = at(["camera"]) as unknown as View | undefined;
  useEffect(() => {
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: view ? [view.lon, view.lat] : c.center, zoom: view?.zoom ?? c.zoom });
    twin.map.jumpTo({ bearing: view?.bearing ?? 0, pitch: view?.pitch ?? 0 });
    made.current = twin;
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  const take = () => {
    const map = made.current!.map, centre = map.getCenter(), round = (v: number, n: number) => Number(v.toFixed(n));
    p.put(["camera"], { lon: round(centre.lng, 5), lat: round(centre.lat, 5), zoom: round(map.getZoom(), 2), bearing: round(map.getBearing(), 1), pitch: round(map.getPitch(), 1) });
  };
  return (
    <section class="pform scenemap" aria-labelledby="sf-view"><h3 id="sf-view">{t("pol.scene.view")}</h3>
      <div ref={host} class="mapfull" role="application" aria-label={t("pol.scene.view")} />
      <p class="ends"><span class="muted small grow">{view ? `${view.lon.toFixed(4)}, ${view.lat.toFixed(4)} · z ${view.zoom}${view.pitch ? ` · ${view.pitch}°` : ""}` : t("pol.scene.view.none")}</span><button type="button" class="btn" data-do="view" onClick={take}><Icon name="locate-fixed" />{t("pol.scene.view.take")}</button></p>
    </section>
  );
}

export function SceneForm() {
  const [layers, setLayers] = useState<Option[]>([]);
  useEffect(() => {
    loadChoices();
    get<LayerTree>("/layers").then((got) => setLayers(got.groups.flatMap((g) => g.layers.map((l) => ({ key: l.id, title: l.title })))), (why: Error) => (p.why.value = why.message));
  }, []);
  const c = choices.value;
  if (!c) return <p class="muted">{t("panel.wait")}</p>;
  return (
    <div class="sceneform">
      <section class="pform" aria-labelledby="sf-what"><h3 id="sf-what">{t("pol.scene.what")}</h3>
        <div class="pgrid">
          <Field label={t("pol.f.title")} wide path={["title"]}><Both path={["title"]} label={t("pol.f.title")} /></Field>
          <Field label={t("pol.f.note")} wide><Both path={["note"]} label={t("pol.f.note")} /></Field>
          <Field label={t("pol.scene.topic")}><Pick path={["topic"]} label={t("pol.scene.topic")} options={named("topic", ["all", "greening", "forestry", "sanitation", "appearance", "landscape", "activity"])} none="—" /></Field>
          <Field label={t("pol.scene.plan")} path={["plan"]}><Pick path={["plan"]} label={t("pol.scene.plan")} options={c.plans} none={t("pol.none")} /></Field>
          <Field label={t("pol.scene.panel")}><Pick path={["panel"]} label={t("pol.scene.panel")} options={named("rail", ["layers", "topic", "select", "cameras", "plans", "scenes"])} none={t("pol.none")} /></Field>
          <Field label={t("pol.scene.side")}><Pick path={["side"]} label={t("pol.scene.side")} options={[{ key: "events", title: { zh: t("events.title"), en: t("events.title") } }, { key: "alarms", title: { zh: t("alarms.title"), en: t("alarms.title") } }]} none="—" /></Field>
          <Field label={t("pol.scene.gathering")}><Pick path={["gathering"]} label={t("pol.scene.gathering")} options={named("gather", ["auto", "points", "clusters", "heat", "hexagons"])} none="—" /></Field>
          <Field label={t("pol.scene.icon")}><Text path={["icon"]} label={t("pol.scene.icon")} /></Field>
          <Field label={t("pol.scene.show")} wide path={["show"]}><Tags path={["show"]} label={t("pol.scene.show")} options={layers} /></Field>
          <Field label={t("pol.scene.hide")} wide path={["hide"]}><Tags path={["hide"]} label={t("pol.scene.hide")} options={layers} /></Field>
          <Field label={t("pol.scene.kinds")} wide path={["kinds"]}><Tags path={["kinds"]} label={t("pol.scene.kinds")} options={c.kinds} /></Field>
          <Field label={t("pol.scene.radius")} path={["activity"]}><input type="number" name="activity.radius_m" min={1} max={50000} aria-label={t("pol.scene.radius")} value={at(["activity"]) === undefined ? "" : Number(at(["activity", "radius_m"]))} onChange={(e) => p.put(["activity"], e.currentTarget.value === "" ? undefined : { radius_m: Number(e.currentTarget.value) })} /></Field>
          <Tick path={["three_d"]} label={t("map.3d")} />
        </div>
      </section>
      <Camera />
    </div>
  );
}
