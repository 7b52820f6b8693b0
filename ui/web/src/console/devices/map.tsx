/** Devices on the map: coloured by what they say, how they stand or their battery; isolines; any moment. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, stamp, ZONE_OFFSET_MS } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt } from "../../common/i18n";
import { theme } from "../../common/theme";
import { DeviceLegend, reads, said } from "../../common/devicelegend";
import { createMap, DEVICE_BY, deviceLayers, Draw, fieldLayers, PolygonLayer, rgba, ringOf, type DeviceAnswer, type DeviceBy, type DeviceField, type DevicePoint, type TwinMap } from "../../mapkit";
import * as s from "../state";
import { AreaCard, type LonLat } from "./pickarea";
import { Crumb } from "./stats";
import type { Product } from "./types";

export function DeviceMap() {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [products, setProducts] = useState<Product[]>([]);
  const [key, setKey] = useState("bin_level");
  const [prop, setProp] = useState("");
  const [by, setBy] = useState<DeviceBy>("value");
  const [lines, setLines] = useState(false);
  const [hours, setHours] = useState(0);
  const [data, setData] = useState<DeviceAnswer | null>(null);
  const [bands, setBands] = useState<DeviceField | null>(null);
  const [tip, setTip] = useState<{ x: number; y: number; of: DevicePoint } | null>(null);
  const [ring, setRing] = useState<LonLat[] | null>(null);
  const [drawing, setDrawing] = useState(false);
  const drawn = useRef<Draw | null>(null);
  const busy = useRef(false);
  busy.current = drawing || ring !== null;
  const [zoom, setZoom] = useState(s.config.value.zoom);
  const answer = useRef<DeviceAnswer | null>(null);
  answer.current = data;
  const model = products.find((p) => p.key === key);
  const numbers = model?.properties.filter((p) => p.type !== "text") ?? [];
  const moment = hours ? new Date(Math.floor(Date.now() / 300e3) * 300e3 - hours * 3600e3).toISOString() : null;
  useEffect(() => {
    get<{ products: Product[] }>("/api/v1/products").then((f) => setProducts(f.products.filter((p) => p.devices)), (why: Error) => s.tell(why.message, true));
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom });
    made.current = twin;
    const hit = (e: { point: { x: number; y: number } }) => twin.pick(e.point.x, e.point.y, ["devices-dots", "devices-loud-ground"])?.object as DevicePoint | undefined;
    twin.map.on("click", (e) => { if (busy.current) return; const of = hit(e); if (of) s.go(`devices/${of.product}/${encodeURIComponent(of.device)}`); });
    twin.map.on("mousemove", (e) => { const of = hit(e); twin.map.getCanvas().style.cursor = of ? "pointer" : ""; setTip(of ? { x: e.point.x, y: e.point.y, of } : null); });
    twin.map.on("zoomend", () => setZoom(Math.round(twin.map.getZoom() * 2) / 2));
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  const show = (shape: LonLat[] | null) => made.current?.setGroup("area", shape && shape.length > 2 ? [new PolygonLayer<LonLat[]>({ id: "area", data: [shape], getPolygon: (r) => r, getFillColor: rgba(theme.value, "selected", 26), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgba(theme.value, "selected", 220) })] : []);
  const pick = () => {
    drawn.current?.end();
    setRing(null);
    setDrawing(true);
    drawn.current = new Draw(made.current!.map, "polygon", { change: (points, mode) => show(ringOf(points, mode)), done: (points, mode) => { const shape = ringOf(points, mode); setDrawing(false); setRing(shape); show(shape); }, cancel: () => { setDrawing(false); show(null); } });
  };
  const leave = () => { setRing(null); show(null); };
  useEffect(() => {
    const query = new URLSearchParams();
    if (key) query.set("product", key);
    if (key && prop) query.set("property", prop);
    if (moment) query.set("at", moment);
    const load = () => {
      get<DeviceAnswer>(`/api/v1/devices/map?${query}`).then(setData, (why: Error) => s.tell(why.message, true));
      if (lines && key) get<DeviceField>(`/api/v1/devices/surface.geojson?${query}`).then(setBands, () => setBands(null)); else setBands(null);
    };
    load();
    if (moment) return;
    const timer = setInterval(() => !document.hidden && load(), 5_000);
    return () => clearInterval(timer);
  }, [key, prop, moment, lines]);
  useEffect(() => {
    const twin = made.current;
    if (!twin || !data) return;
    const meta = data.property;
    twin.setGroup("surface", bands && meta ? fieldLayers(bands, { id: "field", theme: theme.value, lines: true, text: (v) => said(v, meta) }) : []);
    twin.setGroup("devices", deviceLayers(data, { id: "devices", by, theme: theme.value, zoom, reads: (p) => reads(p, by, meta) }));
  }, [data, bands, by, theme.value, zoom]);
  const local = moment ? new Date(Date.parse(moment) + ZONE_OFFSET_MS).toISOString().slice(0, 16).replace("T", " ") : "";
  return (
    <div class="dev devmap">
      <div ref={host} class={`mapfull${moment ? " past" : ""}`} role="application" aria-label={t("dev.map.title")} />
      <section class="mapcard">
        <Crumb here={t("dev.map.title")} />
        <label class="field"><span>{t("dev.product")}</span><select id="map-product" value={key} onChange={(e) => { setKey(e.currentTarget.value); setProp(""); }}>{products.map((p) => <option value={p.key}>{tt(p.title)} · {num(p.devices ?? 0)}</option>)}</select></label>
        <div class="spans" role="group" aria-label={t("dev.map.by")}>{DEVICE_BY.map((k) => <button class="btn" aria-pressed={by === k} onClick={() => setBy(k)}>{t(`wdev.by.${k}`)}</button>)}</div>
        {by === "value" && <label class="field"><span>{t("prod.property")}</span><select id="map-property" value={prop || model?.main || ""} onChange={(e) => setProp(e.currentTarget.value)}>{numbers.map((p) => <option value={p.name}>{tt(p.title)}</option>)}</select></label>}
        {by === "value" && <label class="check"><input type="checkbox" checked={lines} onChange={(e) => setLines(e.currentTarget.checked)} />{t("dev.map.lines")}</label>}
        {s.session.value.acts.includes("device.command") && !moment && <button class="btn" data-do="area" aria-pressed={drawing} onClick={pick}><Icon name="pentagon" />{t(drawing ? "area.drawing" : "area.pick")}</button>}
        <DeviceLegend by={by} meta={data?.property ?? null} points={data?.points ?? []} />
      </section>
      <section class={`timebar${moment ? " past" : ""}`}>
        <button class="btn" disabled={!moment} onClick={() => setHours(0)}><Icon name={moment ? "history" : "activity"} />{moment ? t("live.back") : t("live.now")}</button>
        <input type="range" min={0} max={72} step={0.25} value={72 - hours} aria-label={t("dev.map.time")} aria-valuetext={moment ? local : t("live.now")} onInput={(e) => setHours(72 - Number(e.currentTarget.value))} />
        <b>{moment ? local : stamp(data?.at ?? Date.now())}</b>
      </section>
      {ring && model && data && <AreaCard ring={ring} points={data.points} product={model} onClose={leave} />}
      {tip && !drawing && <div class="maptip" style={{ left: `${tip.x + 14}px`, top: `${tip.y + 14}px` }}><b>{tip.of.name}</b><span>{reads(tip.of, by, data?.property ?? null)}</span><span class="muted small">{t(`dev.state.${tip.of.state}`)}{tip.of.at && ` · ${stamp(tip.of.at)}`}</span></div>}
    </div>
  );
}
