/** The dispatch desk: what waits and who is proposed, crews on their way with live arrival times, closed roads, reach, shifts. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, post, Problem, send } from "../../common/api";
import { called, hm, km, num, span, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { LonLat, Titled } from "../../common/types";
import { createMap, GeoJsonLayer, IconLayer, liveAtlas, PathLayer, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import type { Row } from "../events/types";
import { sketch, type Sketch } from "../parts/sketch";
import * as s from "../state";
import "./dispatch.css";
import { Roster } from "./roster";
import { placed } from "../../common/places";

interface Pick { code: string; name: string; travel_s: number; free_in_s: number; chosen: boolean }
interface Plan { at: string; mode: string; picks: Pick[]; shortfall: { code: string; title: Titled; count: number }[]; fault: string | null }
type Waiting = Row & { plan: Plan | null };
interface Board { waiting: Waiting[]; scheduling: { title: Titled; mode: string; version: number; every_s: number; profiles: Record<string, Titled> } }
interface Task { code: string; title: string; severity: number; state: string; crew: string; crew_name: string; point: LonLat; crew_point: LonLat; travel_s: number | null; arrives_at: string | null; distance_m: number; late: boolean; silent_s: number | null; stuck: boolean; route: LonLat[]; live: boolean }
interface Closures { features: { id: number; properties: { title: string; starts_at: string; ends_at: string | null; made_by: string }; geometry: GeoJSON.Geometry }[] }
type Iso = GeoJSON.FeatureCollection<GeoJSON.Geometry, { from_min: number; to_min: number }> & { minutes: number[] };
const TABS = ["waiting", "way", "closures", "roster"] as const;
const EVERY_MS = 5000;

export default function DispatchPage() {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [, said = "waiting"] = s.path.value.split("/");
  const tab = TABS.find((x) => x === said) ?? "waiting";
  const [board, setBoard] = useState<Board | null>(null);
  const [tasks, setTasks] = useState<Task[]>([]);
  const [closures, setClosures] = useState<Closures>({ features: [] });
  const [hot, setHot] = useState<string | null>(null);
  const [drawing, setDrawing] = useState<"line" | "area" | null>(null);
  const [drawn, setDrawn] = useState<Sketch | null>(null);
  const [iso, setIso] = useState<Iso | null>(null);
  const [reach, setReach] = useState(false);
  const [profile, setProfile] = useState("");
  const reaching = useRef(false);
  const chosen = useRef("");
  [reaching.current, chosen.current] = [reach, profile];
  const drawnOf = useRef("");
  const load = async () => {
    const fail = (e: Error) => s.tell(e.message, true);
    const got = await Promise.all([get<Board>("/api/v1/dispatch/board"), get<{ tasks: Task[] }>("/api/v1/dispatch/tasks"), get<Closures>("/api/v1/dispatch/closures")]).catch(fail);
    if (!got) return;
    // What is the same is not drawn again.
    const said = JSON.stringify([got[0].waiting.map((e) => [e.code, e.version, e.plan?.picks]), got[1].tasks, got[2]]);
    if (said === drawnOf.current) return;
    drawnOf.current = said;
    setBoard(got[0]);
    setTasks(got[1].tasks);
    setClosures(got[2]);
  };
  useEffect(() => {
    void load();
    const timer = setInterval(() => { if (!document.hidden) void load(); }, EVERY_MS);
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom });
    made.current = twin;
    for (const name of ["iso", "closures", "routes", "crews", "events", "sketch"]) twin.setGroup(name, []);
    (window as unknown as { twin: unknown }).twin = { map: twin.map, pick: twin.pick };
    twin.map.on("click", (e) => {
      if (!reaching.current) return;
      get<Iso>(`/api/v1/dispatch/isochrones?lon=${e.lngLat.lng.toFixed(6)}&lat=${e.lngLat.lat.toFixed(6)}&minutes=5,10,15,20${chosen.current ? `&profile=${chosen.current}` : ""}`).then(setIso, (x: Error) => s.tell(x.message, true));
    });
    return () => { clearInterval(timer); twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  useEffect(() => {
    if (!drawing || !made.current) return;
    const stop = sketch(made.current, drawing, (of) => { setDrawing(null); if (of) setDrawn(of); });
    return () => { if (drawing) stop(); };
  }, [drawing]);
  const atlas = useMemo(() => liveAtlas(theme.value), [theme.value]);
  useEffect(() => {
    const twin = made.current;
    if (!twin) return;
    const ink = rgba(theme.value, "selected"), bad = rgba(theme.value, "critical");
    const top = iso ? Math.max(...iso.minutes) : 1;
    twin.setGroup("iso", iso ? [new GeoJsonLayer<{ from_min: number; to_min: number }>({ id: "iso", data: iso as never, stroked: true, filled: true, getFillColor: (f) => rgba(theme.value, "good", Math.round(30 + 90 * (1 - f.properties.from_min / top))), getLineColor: rgba(theme.value, "good", 200), lineWidthUnits: "pixels", getLineWidth: 1.25 })] : []);
    twin.setGroup("closures", [new GeoJsonLayer({ id: "closures", data: { type: "FeatureCollection", features: closures.features } as never, stroked: true, filled: true, getFillColor: [...bad.slice(0, 3), 46] as never, getLineColor: bad, lineWidthUnits: "pixels", getLineWidth: 4 })]);
    const ordered = [...tasks].sort((a, b) => Number(a.code === hot) - Number(b.code === hot));
    twin.setGroup("routes", [new PathLayer<Task>({ id: "routes", data: ordered.filter((x) => x.route.length > 1), getPath: (x) => x.route as never, widthUnits: "pixels", getWidth: (x) => (x.code === hot ? 5 : 2.5), capRounded: true, jointRounded: true, getColor: (x) => (x.late ? [...bad.slice(0, 3), x.code === hot ? 255 : 150] : [...ink.slice(0, 3), x.code === hot ? 255 : 120]) as never, updateTriggers: { getWidth: hot, getColor: [hot, theme.value] } })]);
    twin.setGroup("crews", [new ScatterplotLayer<Task>({ id: "crews", data: tasks, getPosition: (x) => x.crew_point, radiusUnits: "pixels", getRadius: 6, getFillColor: rgba(theme.value, "mine"), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgba(theme.value, "halo") })]);
    const marks = [...(board?.waiting ?? []).filter((e) => e.point).map((e) => ({ code: e.code, point: e.point!, severity: e.severity, phase: "new", late: e.late })), ...tasks.map((x) => ({ code: x.code, point: x.point, severity: x.severity, phase: "hand", late: x.late }))];
    twin.setGroup("events", [new IconLayer<(typeof marks)[number]>({ id: "events", data: marks, iconAtlas: atlas.atlas as never, iconMapping: atlas.mapping, getPosition: (e) => e.point, getSize: (e) => (e.code === hot ? 36 : 26), getIcon: (e) => `e${e.severity}-${e.phase}${e.late ? "-late" : ""}`, updateTriggers: { getSize: hot } })]);
  }, [board, tasks, closures, iso, hot, theme.value]);
  const dispatch = async (ev: Waiting, crew: string) => {
    try { await post(`/api/v1/events/${ev.id}/actions/dispatch`, { version: ev.version, crew }); } catch (e) { s.tell(e instanceof Problem && e.status === 409 ? t("action.conflict") : (e as Error).message, true); }
    await load();
  };
  const close = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    const hours = Number(said.get("hours"));
    try {
      await post("/api/v1/dispatch/closures", { title: said.get("title"), geometry: drawn, ...(hours ? { ends_at: new Date(Date.now() + hours * 3600e3).toISOString() } : {}) });
      setDrawn(null);
      await load();
    } catch (x) { s.tell((x as Error).message, true); }
  };
  const lift = async (id: number) => { await send("DELETE", `/api/v1/dispatch/closures/${id}`).catch((x: Error) => s.tell(x.message, true)); await load(); };
  const look = (p: LonLat | null) => { if (p) made.current?.map.easeTo({ center: p, zoom: Math.max(made.current.map.getZoom(), 13.5), duration: 400 }); };
  const counts: Record<(typeof TABS)[number], number | null> = { waiting: board?.waiting.length ?? null, way: tasks.length, closures: closures.features.length, roster: null };
  return (
    <div class="dsp">
      <section class="side">
        <header class="head"><div class="grow"><h1>{t("dsp.title")}</h1><p class="muted small">{board ? t("dsp.about", { mode: t(`pol.f.v.${board.scheduling.mode}` as Key), s: board.scheduling.every_s, v: board.scheduling.version }) : ""} · <a href="/console/policies/scheduling/city" onClick={(e) => { e.preventDefault(); s.go("policies/scheduling/city"); }}>{t("dsp.rules")}</a></p></div></header>
        <div class="tabs" role="tablist" aria-label={t("dsp.title")}>{TABS.map((x) => <button role="tab" aria-selected={tab === x} onClick={() => s.go(`dispatch/${x}`)}>{t(`dsp.tab.${x}` as Key)}{counts[x] !== null && <b>{num(counts[x]!)}</b>}</button>)}</div>
        {tab === "waiting" && <ul class="cards">{board?.waiting.slice(0, 60).map((ev) => (
          <li key={ev.id} data-code={ev.code} class={hot === ev.code ? "hot" : ""} onMouseEnter={() => setHot(ev.code)}>
            <button class="what" onClick={() => { setHot(ev.code); look(ev.point); }}><Mark level={ev.severity} /><span><b>{called(ev)}</b><span class="muted small"> {[placed(ev.district_name), placed(ev.street_name)].filter(Boolean).join(" · ")}</span></span><time class="muted small">{when(ev.opened_at)}</time></button>
            {ev.plan?.fault && <p class="wrong small">{t("evl.fault", { rule: "", why: ev.plan.fault })}</p>}
            <ul class="picks">{ev.plan?.picks.map((p) => <li><span class="mins"><b>{Math.max(1, Math.round(p.travel_s / 60))}</b><span class="muted small">{t("dispatch.minutes")}</span></span><span class="grow cut">{p.name}{p.free_in_s > 0 && <span class="muted small"> {t("dsp.free", { s: span(p.free_in_s) })}</span>}</span><button class={`btn${p.chosen ? " main" : ""}`} data-crew={p.code} aria-label={t("dispatch.here", { name: p.name })} onClick={() => void dispatch(ev, p.code)}><Icon name="send" /></button></li>)}</ul>
            {ev.plan && !ev.plan.picks.length && <p class="small">{t("dispatch.none")}</p>}
            {!!ev.plan?.shortfall.length && <p class="muted small">{ev.plan.shortfall.map((l) => `${tt(l.title)} ${l.count}`).join(" · ")}</p>}
            {!ev.plan && <p class="muted small">{t("dsp.soon")}</p>}
          </li>))}
          {board && !board.waiting.length && <li class="none muted"><Icon name="check-check" />{t("dsp.none")}</li>}</ul>}
        {tab === "way" && <ul class="cards">{tasks.map((x) => (
          <li class={hot === x.code ? "hot" : ""} onMouseEnter={() => setHot(x.code)}><button class="what" onClick={() => { setHot(x.code); look(x.crew_point); }}><Mark level={x.severity} filled={false} /><span><b>{x.crew_name}</b><span class="muted small"> → {x.title}</span></span><span class={x.late ? "tag late" : "eta"}>{x.arrives_at ? t("dsp.eta", { at: hm(x.arrives_at) }) : "—"}</span></button>
            <p class="muted small">{[x.travel_s !== null ? span(x.travel_s) : null, km(x.distance_m), x.live ? null : t("dsp.nolive")].filter(Boolean).join(" · ")}{x.stuck && <b class="soon"> · {t("dsp.stuck")}</b>}{x.silent_s !== null && <span class={x.silent_s < 120 ? "soon" : ""}> · {x.silent_s > 0 ? t("dsp.silent", { s: span(x.silent_s) }) : t("dsp.silent.now")}</span>}</p></li>))}
          {!tasks.length && <li class="none muted">{t("dsp.way.none")}</li>}</ul>}
        {tab === "closures" && <div class="closures">
          <p class="tools"><button class="btn" data-draw="line" aria-pressed={drawing === "line"} onClick={() => setDrawing(drawing === "line" ? null : "line")}><Icon name="spline" />{t("dsp.draw.line")}</button><button class="btn" data-draw="area" aria-pressed={drawing === "area"} onClick={() => setDrawing(drawing === "area" ? null : "area")}><Icon name="shapes" />{t("dsp.draw.area")}</button></p>
          {drawing && <p class="small hintbox">{t("dsp.draw.how")}</p>}
          {drawn && <form class="form" onSubmit={close}><label class="field"><span>{t("dsp.closure.title")}</span><input name="title" required maxLength={80} ref={(el) => el?.focus()} /></label><label class="field"><span>{t("dsp.closure.hours")}</span><input name="hours" type="number" min={0} max={720} step={1} defaultValue="4" /></label><div class="ends"><button type="button" class="btn" onClick={() => setDrawn(null)}>{t("action.cancel")}</button><button class="btn main" data-do="close-road">{t("dsp.closure.do")}</button></div></form>}
          <ul class="cards">{closures.features.map((f) => <li><p class="what"><Icon name="construction" /><span class="grow"><b>{f.properties.title}</b><span class="muted small"> {f.properties.ends_at ? t("dsp.until", { at: when(f.properties.ends_at) }) : t("dsp.open.end")} · {f.properties.made_by}</span></span><button class="btn" data-lift={f.id} onClick={() => void lift(f.id)}>{t("dsp.lift")}</button></p></li>)}{!closures.features.length && <li class="none muted">{t("dsp.closures.none")}</li>}</ul></div>}
        {tab === "roster" && <Roster />}
      </section>
      <div class="maphost"><div ref={host} class="mapfull" role="application" aria-label={t("dsp.map")} />
        <section class="reach"><label class="check"><input type="checkbox" name="reach" checked={reach} onChange={(e) => { setReach(e.currentTarget.checked); if (!e.currentTarget.checked) setIso(null); }} />{t("dsp.reach")}</label>
          {reach && <><select name="profile" aria-label={t("pol.f.profiles")} value={profile} onChange={(e) => setProfile(e.currentTarget.value)}><option value="">{t("pol.f.default_profile")}</option>{Object.entries(board?.scheduling.profiles ?? {}).map(([k, v]) => <option value={k}>{tt(v)}</option>)}</select>
            {iso ? <ul class="legend">{iso.minutes.map((m, i) => <li><i style={{ opacity: 1 - i / (iso.minutes.length + 1) }} />{t("dsp.minutes", { n: m })}</li>)}</ul> : <p class="muted small">{t("dsp.reach.how")}</p>}</>}</section>
      </div>
    </div>
  );
}
