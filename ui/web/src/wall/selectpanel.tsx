/** What lies within an area: numbers by kind and district, linked both ways with the map. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../common/icon";
import { num } from "../common/format";
import { t, tt } from "../common/i18n";
import { metres, ringOf, type DrawMode } from "../mapkit";
import type { LonLat } from "../common/types";
import { Bars } from "../common/charts";
import { areaText } from "./overlays";
import { Head } from "./rail";
import { flyTo } from "./mapview";
import * as s from "./store";
import * as w from "./toolstore";
import { placed } from "../common/places";

const MODES: [DrawMode, string][] = [["box", "square-dashed-mouse-pointer"], ["polygon", "pentagon"], ["circle", "circle-dot"]];
const FIRST = 12;

const failed = (why: Error) => s.tell(why.message);

function begin(mode: DrawMode): void {
  w.following.value = false;
  void w.select(null);
  w.startDraw(mode, "select", (points, how) => {
    const area: w.Area = how === "circle" ? { circle: { center: points[0]!, radius_m: Math.max(1, metres(points[0]!, points[1]!)) } } : { shape: { type: "Polygon", coordinates: [ringOf(points, how)] } };
    w.select(area).then(() => (w.drawing.value = null), failed);
  });
}

function follow(on: boolean): void {
  w.stopDraw();
  w.following.value = on;
  w.select(on ? w.viewArea() : null).catch(failed);
}

function pickKind(kind: string): void {
  const now = w.chosenKinds.value;
  w.chosenKinds.value = now.includes(kind) ? now.filter((k) => k !== kind) : [...now, kind].slice(-40);
  w.list().catch(failed);
}

function pickDistrict(code: string): void {
  w.chosenDistrict.value = w.chosenDistrict.value === code ? null : code;
  w.list().catch(failed);
}

function Result({ found }: { found: w.Selected }) {
  const [all, setAll] = useState(false);
  const kinds = found.kinds.filter((k) => k.topic !== "base");
  const base = found.kinds.filter((k) => k.topic === "base");
  const shown = all ? [...kinds, ...base] : kinds.slice(0, FIRST);
  const chosen = w.chosenKinds.value;
  const value = (d: w.Selected["districts"][number]) => (chosen.length ? chosen.reduce((n, k) => n + (d.kinds[k] ?? 0), 0) : d.n);
  const districts = found.districts.filter((d) => value(d) > 0).map((d) => ({ key: d.code, label: d.name ?? t("select.nowhere"), value: value(d), on: w.chosenDistrict.value === d.code })).sort((a, b) => b.value - a.value);
  return (
    <div class="scroll pad">
      <dl class="trio">
        <div><dt class="muted small">{t("select.area")}</dt><dd>{areaText(found.area_m2)}</dd></div>
        <div><dt class="muted small">{t("select.events")}</dt><dd class={found.events.severity["1"] ? "bad" : ""}>{num(found.events.open)}</dd></div>
        <div><dt class="muted small">{t("select.alarms")}</dt><dd>{num(found.alarms.open)}</dd></div>
      </dl>
      <h3>{t("select.kinds")}<span class="muted">{num(found.kinds.reduce((n, k) => n + k.n, 0))}</span></h3>
      <Bars bars={shown.map((k) => ({ key: k.kind, label: tt(k.title), value: k.n, on: chosen.includes(k.kind) }))} pick={pickKind} />
      {found.kinds.length > shown.length && <button class="more" onClick={() => setAll(true)}>{t("select.more", { n: found.kinds.length - shown.length })}</button>}
      <h3>{t("select.districts")}</h3>
      <Bars bars={districts} pick={pickDistrict} />
      {w.found.value && <List />}
    </div>
  );
}

function List() {
  const found = w.found.value!;
  return (
    <>
      <h3>{t("select.list")}<span class="muted">{num(found.total)}</span></h3>
      {found.total > found.things.length && <p class="muted small">{t("select.shown", { n: num(found.things.length) })}</p>}
      <ul class="mini">{found.things.slice(0, 200).map((one) => (
        <li key={one.num}><button onClick={() => { void s.openThing(String(one.num)); flyTo(one.point, 15); }}><span class="grow cut">{one.name || one.code}</span><span class="muted small cut">{placed(one.district_name)}</span></button></li>
      ))}</ul>
    </>
  );
}

export function SelectPanel() {
  useEffect(() => {
    if (!w.area.value) w.following.value = true;
    return () => { w.following.value = false; w.stopDraw(); void w.select(null); };
  }, []);
  // The map may stand only after the panel: follow as soon as there is a view.
  useEffect(() => { if (w.following.value && !w.area.value && s.view.value) w.select(w.viewArea()).catch(failed); }, [s.view.value, w.following.value]);
  // The moment shown has moved: count again what then stood here.
  useEffect(() => { if (w.area.value) w.select(w.area.value).catch(failed); }, [s.settled.value]);
  const drawing = w.drawing.value?.purpose === "select" && !w.drawing.value.done;
  return (
    <>
      <Head title={t("rail.select")} />
      <div class="modes" role="toolbar" aria-label={t("select.how")}>
        <button class={w.following.value ? "on" : ""} aria-pressed={w.following.value} onClick={() => follow(!w.following.value)}><Icon name="maximize" />{t("select.view")}</button>
        {MODES.map(([mode, icon]) => <button data-mode={mode} class={drawing && w.drawing.value!.mode === mode ? "on" : ""} onClick={() => begin(mode)}><Icon name={icon} />{t(`draw.${mode}` as never)}</button>)}
      </div>
      {drawing && <p class="hint small muted">{t(`draw.${w.drawing.value!.mode}.hint` as never)}</p>}
      {!w.selection.value && !drawing && <p class="hint small muted">{t(w.area.value ? "panel.wait" : "select.hint")}</p>}
      {w.selection.value && <Result found={w.selection.value} />}
    </>
  );
}

/** The circle of so many metres round a place: what could help here. */
export async function around(point: LonLat, radius_m: number, kinds: string[]): Promise<void> {
  s.panel.value = "select";
  w.following.value = false;
  w.chosenKinds.value = kinds;
  await w.select({ circle: { center: point, radius_m } });
}
