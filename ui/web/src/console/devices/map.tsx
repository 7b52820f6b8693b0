/** Devices on the map: coloured by what they say, how they stand or their battery; isolines; any moment. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, stamp, ZONE_OFFSET_MS } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, GeoJsonLayer, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import * as s from "../state";
import { Crumb } from "./stats";
import type { Product, Prop, State } from "./types";
import type { Titled } from "../../common/types";

interface Point { num: number; product: string; device: string; name: string; lon: number; lat: number; state: State; battery_pct: number | null; value: number | null; at: string | null }
interface Meta { name: string; title: Titled; unit: Titled | null; type: Prop["type"]; from: number; to: number; codes: Titled[] }
interface Answer { property: Meta | null; points: Point[]; at: string }
interface Bands { type: "FeatureCollection"; levels: number[]; features: GeoJSON.Feature<GeoJSON.MultiPolygon, { low: number; high: number }>[] }
type By = "value" | "state" | "battery";
type Rgba = [number, number, number, number];

// From little to much in even steps of lightness, told apart by any eye (after viridis, less yellow on paper).
const RAMP: [number, number, number][] = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [240, 200, 40]];
const INK: Record<State, string> = { live: "good", silent: "major", never: "stale", revoked: "muted" };

function ramp(share: number, alpha = 235): Rgba {
  const at = Math.min(0.9999, Math.max(0, share)) * (RAMP.length - 1), i = Math.floor(at), f = at - i;
  const mix = (k: 0 | 1 | 2) => Math.round(RAMP[i]![k] + (RAMP[i + 1]![k] - RAMP[i]![k]) * f);
  return [mix(0), mix(1), mix(2), alpha];
}

function Legend({ by, meta, many }: { by: By; meta: Meta | null; many: Record<State, number> }) {
  if (by === "state") return <ul class="legend">{(Object.keys(INK) as State[]).map((k) => <li><i class={`swatch ${k}`} style={{ background: `var(--${INK[k]})` }} />{t(`dev.state.${k}`)}<b>{num(many[k])}</b></li>)}</ul>;
  const [low, high, unit] = by === "battery" ? [0, 100, "%"] : [meta?.from ?? 0, meta?.to ?? 1, tt(meta?.unit)];
  return (
    <div class="legend"><b>{by === "battery" ? t("dev.battery") : tt(meta?.title)}<span class="unit">{unit}</span></b>
      <span class="rampbar" style={{ background: `linear-gradient(90deg, ${RAMP.map((c) => `rgb(${c.join(",")})`).join(",")})` }} aria-hidden="true" />
      <span class="ends2 small muted"><span>{num(low, 2)}</span><span>{num((low + high) / 2, 2)}</span><span>{num(high, 2)}</span></span></div>
  );
}

export function DeviceMap() {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [products, setProducts] = useState<Product[]>([]);
  const [key, setKey] = useState("bin_level");
  const [prop, setProp] = useState("");
  const [by, setBy] = useState<By>("value");
  const [lines, setLines] = useState(false);
  const [hours, setHours] = useState(0);
  const [data, setData] = useState<Answer | null>(null);
  const [bands, setBands] = useState<Bands | null>(null);
  const [tip, setTip] = useState<{ x: number; y: number; of: Point } | null>(null);
  const answer = useRef<Answer | null>(null);
  answer.current = data;
  const model = products.find((p) => p.key === key);
  const numbers = model?.properties.filter((p) => p.type !== "text") ?? [];
  const moment = hours ? new Date(Math.floor(Date.now() / 300e3) * 300e3 - hours * 3600e3).toISOString() : null;
  useEffect(() => {
    get<{ products: Product[] }>("/api/v1/products").then((f) => setProducts(f.products.filter((p) => p.devices)), (why: Error) => s.tell(why.message, true));
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom });
    made.current = twin;
    const hit = (e: { point: { x: number; y: number } }) => twin.pick(e.point.x, e.point.y, ["devices"])?.object as Point | undefined;
    twin.map.on("click", (e) => { const of = hit(e); if (of) s.go(`devices/${of.product}/${encodeURIComponent(of.device)}`); });
    twin.map.on("mousemove", (e) => { const of = hit(e); twin.map.getCanvas().style.cursor = of ? "pointer" : ""; setTip(of ? { x: e.point.x, y: e.point.y, of } : null); });
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  useEffect(() => {
    const query = new URLSearchParams();
    if (key) query.set("product", key);
    if (key && prop) query.set("property", prop);
    if (moment) query.set("at", moment);
    const load = () => {
      get<Answer>(`/api/v1/devices/map?${query}`).then(setData, (why: Error) => s.tell(why.message, true));
      if (lines && key) get<Bands>(`/api/v1/devices/surface.geojson?${query}`).then(setBands, () => setBands(null)); else setBands(null);
    };
    load();
    if (moment) return;
    const timer = setInterval(() => !document.hidden && load(), 5_000);
    return () => clearInterval(timer);
  }, [key, prop, moment, lines]);
  useEffect(() => {
    const twin = made.current;
    if (!twin || !data) return;
    const [from, to] = [data.property?.from ?? 0, data.property?.to ?? 1];
    const grey = rgba(theme.value, "stale", 120);
    const ink = (p: Point): Rgba => {
      if (by === "state") return rgba(theme.value, INK[p.state], p.state === "never" ? 130 : 235);
      if (by === "battery") return p.battery_pct === null ? grey : ramp(p.battery_pct / 100);
      return p.value === null ? grey : ramp((p.value - from) / (to - from), p.state === "silent" ? 110 : 235);
    };
    const step = bands ? [bands.levels[0]!, bands.levels[bands.levels.length - 1]!] : [0, 1];
    twin.setGroup("surface", bands ? [new GeoJsonLayer<{ low: number; high: number }>({ id: "surface", data: bands as never, stroked: true, filled: true, getFillColor: (f) => ramp(((f.properties.low + f.properties.high) / 2 - step[0]!) / (step[1]! - step[0]!), 96), getLineColor: (f) => ramp((f.properties.low - step[0]!) / (step[1]! - step[0]!), 190), lineWidthUnits: "pixels", getLineWidth: 1.25 })] : []);
    twin.setGroup("devices", [new ScatterplotLayer<Point>({ id: "devices", data: data.points, pickable: true, getPosition: (p) => [p.lon, p.lat], radiusUnits: "pixels", getRadius: (p) => (p.state === "silent" && by === "state" ? 8 : 6), stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: rgba(theme.value, "halo"), getFillColor: ink, updateTriggers: { getFillColor: [by, from, to, theme.value], getRadius: by } })]);
  }, [data, bands, by, theme.value]);
  const many = { live: 0, silent: 0, never: 0, revoked: 0 };
  data?.points.forEach((p) => many[p.state]++);
  const reads = (p: Point) => (p.value === null || !data?.property ? "—" : data.property.type === "boolean" ? t(p.value ? "dev.yes" : "dev.no") : data.property.type === "enum" ? tt(data.property.codes[p.value]) : `${num(p.value, 2)} ${tt(data.property.unit)}`);
  const local = moment ? new Date(Date.parse(moment) + ZONE_OFFSET_MS).toISOString().slice(0, 16).replace("T", " ") : "";
  return (
    <div class="dev devmap">
      <div ref={host} class={`mapfull${moment ? " past" : ""}`} role="application" aria-label={t("dev.map.title")} />
      <section class="mapcard">
        <Crumb here={t("dev.map.title")} />
        <label class="field"><span>{t("dev.product")}</span><select id="map-product" value={key} onChange={(e) => { setKey(e.currentTarget.value); setProp(""); }}>{products.map((p) => <option value={p.key}>{tt(p.title)} · {num(p.devices ?? 0)}</option>)}</select></label>
        <div class="spans" role="group" aria-label={t("dev.map.by")}>{(["value", "state", "battery"] as By[]).map((k) => <button class="btn" aria-pressed={by === k} onClick={() => setBy(k)}>{t(k === "value" ? "dev.value" : k === "state" ? "dev.state" : "dev.battery")}</button>)}</div>
        {by === "value" && <label class="field"><span>{t("prod.property")}</span><select id="map-property" value={prop || model?.main || ""} onChange={(e) => setProp(e.currentTarget.value)}>{numbers.map((p) => <option value={p.name}>{tt(p.title)}</option>)}</select></label>}
        {by === "value" && <label class="check"><input type="checkbox" checked={lines} onChange={(e) => setLines(e.currentTarget.checked)} />{t("dev.map.lines")}</label>}
        <Legend by={by} meta={data?.property ?? null} many={many} />
      </section>
      <section class={`timebar${moment ? " past" : ""}`}>
        <button class="btn" disabled={!moment} onClick={() => setHours(0)}><Icon name={moment ? "history" : "activity"} />{moment ? t("live.back") : t("live.now")}</button>
        <input type="range" min={0} max={72} step={0.25} value={72 - hours} aria-label={t("dev.map.time")} aria-valuetext={moment ? local : t("live.now")} onInput={(e) => setHours(72 - Number(e.currentTarget.value))} />
        <b>{moment ? local : stamp(data?.at ?? Date.now())}</b>
      </section>
      {tip && <div class="maptip" style={{ left: `${tip.x + 14}px`, top: `${tip.y + 14}px` }}><b>{tip.of.name}</b><span>{by === "battery" ? (tip.of.battery_pct === null ? "—" : `${num(tip.of.battery_pct, 0)} %`) : reads(tip.of)}</span><span class="muted small">{t(`dev.state.${tip.of.state}`)}{tip.of.at && ` · ${stamp(tip.of.at)}`}</span></div>}
    </div>
  );
}
