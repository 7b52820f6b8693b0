/** Measuring, and plots (标绘): what people draw stays, may be shared, and may be changed by who drew it. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../common/icon";
import { km, when } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import { azimuth, metres, ringOf, squareMetres, type DrawMode } from "../mapkit";
import type { LonLat } from "../common/types";
import { areaText } from "./overlays";
import { clickHooks, fitBounds, flyTo } from "./mapview";
import { Head } from "./rail";
import * as s from "./store";
import * as w from "./toolstore";

const failed = (why: Error) => s.tell(why.message);
const MEASURES: [DrawMode, string, Key][] = [["line", "ruler", "measure.distance"], ["polygon", "pentagon", "measure.area"], ["circle", "circle-dot", "measure.circle"]];

export function Measure() {
  useEffect(() => {
    w.startDraw("line", "measure", () => undefined);
    return w.stopDraw;
  }, []);
  const d = w.drawing.value;
  const points = d?.points ?? [];
  const ring = d ? ringOf(points, d.mode) : [];
  const closed = d && d.mode !== "line" && ring.length > 3;
  const whole = points.slice(1).reduce((sum, p, i) => sum + metres(points[i]!, p), 0);
  const round = ring.slice(1).reduce((sum, p, i) => sum + metres(ring[i]!, p), 0);
  return (
    <>
      <Head title={t("rail.measure")} />
      <div class="modes" role="toolbar" aria-label={t("rail.measure")}>
        {MEASURES.map(([mode, icon, key]) => <button data-mode={mode} class={d?.mode === mode ? "on" : ""} onClick={() => w.startDraw(mode, "measure", () => undefined)}><Icon name={icon} />{t(key)}</button>)}
      </div>
      <p class="hint small muted">{t(d?.done ? "measure.again" : (`draw.${d?.mode ?? "line"}.hint` as Key))}</p>
      {points.length > 1 && (
        <dl class="facts pad">
          {!closed && <div><dt class="muted">{t("measure.distance")}</dt><dd><b class="big">{km(whole)}</b></dd></div>}
          {!closed && <div><dt class="muted">{t("measure.azimuth")}</dt><dd>{Math.round(azimuth(points.at(-2)!, points.at(-1)!))}°</dd></div>}
          {closed && <div><dt class="muted">{t("measure.area")}</dt><dd><b class="big">{areaText(squareMetres(ring))}</b></dd></div>}
          {closed && <div><dt class="muted">{t("measure.round")}</dt><dd>{km(round)}</dd></div>}
          {d?.mode === "circle" && <div><dt class="muted">{t("measure.radius")}</dt><dd>{km(metres(points[0]!, points[1]!))}</dd></div>}
        </dl>
      )}
    </>
  );
}

const FORMS: [w.PlotForm, DrawMode, string][] = [["point", "point", "map-pin"], ["line", "line", "route"], ["arrow", "line", "move-up-right"], ["zone", "polygon", "pentagon"], ["circle", "circle", "circle-dot"], ["text", "point", "type"]];
const INKS = ["selected", "mine", "critical", "major", "minor", "good", "text"];

function geometryOf(points: LonLat[], mode: DrawMode): GeoJSON.Geometry {
  if (mode === "point") return { type: "Point", coordinates: points[0]! };
  if (mode === "line") return { type: "LineString", coordinates: points };
  return { type: "Polygon", coordinates: [ringOf(points, mode)] };
}

function New({ form, mode, done }: { form: w.PlotForm; mode: DrawMode; done(): void }) {
  const [title, setTitle] = useState("");
  const [ink, setInk] = useState(form === "zone" || form === "circle" ? "critical" : "selected");
  const [shared, setShared] = useState(mayShare());
  const [points, setPoints] = useState<LonLat[] | null>(null);
  useEffect(() => {
    w.startDraw(mode, "plot", (made) => setPoints(made), ink);
    return w.stopDraw;
  }, []);
  useEffect(() => { if (w.drawing.value) w.drawing.value = { ...w.drawing.value, ink }; }, [ink]);
  const save = async (e: Event) => {
    e.preventDefault();
    if (!points) return;
    const style = { ink, width: form === "arrow" ? 5 : 3, ...(mode === "circle" ? { radius_m: metres(points[0]!, points[1]!) } : {}) };
    await w.savePlot({ form, title: title.trim(), geometry: geometryOf(points, mode), style, shared }).then(done, failed);
  };
  return (
    <form class="ask pad" onSubmit={save}>
      <p class="small muted">{points ? t("plot.drawn") : t(`draw.${mode}.hint` as Key)}</p>
      <label class="field"><span>{t(form === "text" ? "plot.text" : "plot.name")}</span><input name="title" maxLength={120} value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
      <fieldset class="inks"><legend class="small muted">{t("plot.ink")}</legend>
        {INKS.map((one) => <label title={t(`ink.${one}` as Key)}><input type="radio" name="ink" checked={ink === one} aria-label={t(`ink.${one}` as Key)} onChange={() => setInk(one)} /><i style={{ background: `var(--${one})` }} /></label>)}
      </fieldset>
      {mayShare() && <label class="check"><input type="checkbox" checked={shared} onChange={(e) => setShared(e.currentTarget.checked)} />{t("plot.share")}</label>}
      <div class="buttons"><button type="button" class="btn" onClick={done}>{t("action.cancel")}</button><button class="btn main" disabled={!points || (form === "text" && !title.trim())}>{t("plot.save")}</button></div>
    </form>
  );
}

const mayShare = () => ["alarm.handle", "data.write"].some((act) => s.session.value.acts.includes(act));

function Row({ plot }: { plot: w.Plot }) {
  const p = plot.properties;
  const icon = FORMS.find(([form]) => form === p.form)![2];
  const [naming, setNaming] = useState<string | null>(null);
  const rename = (e: Event) => {
    e.preventDefault();
    const title = (naming ?? "").trim();
    setNaming(null);
    if (title !== p.title) w.savePlot({ form: p.form, title, geometry: plot.geometry, style: p.style, shared: p.shared }, plot).catch(failed);
  };
  if (naming !== null) return (
    <li data-plot={plot.id}><form class="naming" onSubmit={rename}><input aria-label={t("plot.name")} maxLength={120} value={naming} ref={(el) => el?.focus()} onInput={(e) => setNaming(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); setNaming(null); } }} /><button class="btn ack">{t("plot.save")}</button></form></li>
  );
  return (
    <li class={w.chosenPlot.value === plot.id ? "on" : ""} data-plot={plot.id}>
      <button class="grow" onClick={() => { w.chosenPlot.value = plot.id; show(plot); }}>
        <span style={{ color: `var(--${p.style.ink})` }}><Icon name={icon} /></span>
        <span class="grow cut"><span class="cut">{p.title || t(`plot.${p.form}` as Key)}</span><span class="muted small cut">{tt(p.owner_name) || p.owner} · {when(p.at)}{p.shared ? ` · ${t("plot.shared")}` : ""}</span></span>
      </button>
      {p.mine && s.moment.value === null && (
        <>
          <button class="plain" aria-label={t("plot.rename")} title={t("plot.rename")} onClick={() => setNaming(p.title)}><Icon name="pen-line" /></button>
          <button class="plain" aria-label={t("plot.remove")} title={t("plot.remove")} onClick={() => w.removePlot(plot.id).catch(failed)}><Icon name="trash-2" /></button>
        </>
      )}
    </li>
  );
}

function show(plot: w.Plot): void {
  const g = plot.geometry;
  if (g.type === "Point") return flyTo(g.coordinates as LonLat, 14);
  const ring = (g.type === "LineString" ? g.coordinates : g.coordinates[0]!) as LonLat[];
  const [xs, ys] = [ring.map((p) => p[0]), ring.map((p) => p[1])];
  fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]);
}

export function Plots() {
  const [form, setForm] = useState<(typeof FORMS)[number] | null>(null);
  useEffect(() => {
    w.loadPlots().catch(failed);
    const clicked = (_at: LonLat, plot: string | null) => (w.chosenPlot.value = plot);
    clickHooks.add(clicked);
    return () => { clickHooks.delete(clicked); w.chosenPlot.value = null; };
  }, []);
  useEffect(() => { w.loadPlots().catch(failed); }, [s.settled.value]);
  return (
    <>
      <Head title={t("rail.plot")}><label class="small muted inview"><input type="checkbox" checked={w.plotsShown.value} onChange={(e) => (w.plotsShown.value = e.currentTarget.checked)} />{t("plot.visible")}</label></Head>
      {s.moment.value === null && !form && (
        <div class="modes six" role="toolbar" aria-label={t("plot.new")}>
          {FORMS.map((one) => <button data-form={one[0]} onClick={() => setForm(one)}><Icon name={one[2]} />{t(`plot.${one[0]}` as Key)}</button>)}
        </div>
      )}
      {form && <New form={form[0]} mode={form[1]} done={() => setForm(null)} />}
      <div class="scroll">
        {!w.plots.value.length && !form && <p class="hint small muted">{t("plot.none")}</p>}
        <ul class="plots">{w.plots.value.map((p) => <Row key={p.id} plot={p} />)}</ul>
      </div>
    </>
  );
}
