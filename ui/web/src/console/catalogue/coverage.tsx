/** Coverage by district: how much there is, how dense, how fresh, how good, on a map and in a table. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num } from "../../common/format";
import { lang, t, tt, type Key } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { GeoJSONSource } from "maplibre-gl";
import { createMap, rgba, type Theme, type TwinMap } from "../../mapkit";
import { Table } from "../parts/table";
import * as s from "../state";
import { ago, Score } from "./parts";
import type { Covered, Detail } from "./types";

type Shape = GeoJSON.Feature<GeoJSON.Polygon | GeoJSON.MultiPolygon, Covered>;
type Rgba = [number, number, number, number];
const MEASURES = ["things", "per_km2", "score", "age"] as const;
type Measure = (typeof MEASURES)[number];

function value(row: Covered, by: Measure): number | null {
  if (by === "age") return row.freshest ? Math.floor((Date.now() - new Date(row.freshest).getTime()) / 86_400_000) : null;
  if (by === "score") return row.score;
  return row.things === 0 ? null : row[by];
}

/** Five classes: quantiles for amounts, fixed bounds where a number means the same everywhere. */
function bounds(rows: Covered[], by: Measure): number[] {
  if (by === "score") return [60, 80, 90, 95];
  if (by === "age") return [1, 7, 30, 365];
  const known = rows.map((r) => value(r, by)).filter((v): v is number => v !== null).sort((a, b) => a - b);
  return [0.2, 0.4, 0.6, 0.8].map((q) => known[Math.min(known.length - 1, Math.floor(q * known.length))] ?? 0);
}

const STATUS: Record<"score" | "age", string[]> = { score: ["critical", "major", "minor", "greening", "good"], age: ["good", "greening", "minor", "major", "critical"] };

function mix(a: Rgba, b: Rgba, share: number): Rgba {
  return a.map((v, i) => Math.round(v + (b[i]! - v) * share)) as Rgba;
}

function shades(by: Measure, look: Theme): Rgba[] {
  if (by === "score" || by === "age") return STATUS[by].map((token) => rgba(look, token, 200));
  const [from, to] = [rgba(look, "land", 235), rgba(look, "selected", 235)];
  return [0.14, 0.32, 0.5, 0.7, 0.92].map((share) => mix(from, to, share));
}

function written(v: number | null, by: Measure): string {
  if (v === null) return t("cat.nodata");
  if (by === "age") return v < 1 ? t("cat.today") : t("cat.days", { n: v });
  return by === "score" ? v.toFixed(1) : num(v, v < 10 ? 2 : 0);
}

/** The centre of the largest part: an island group is named once. */
function centre(shape: Shape["geometry"]): [number, number] {
  const rings = shape.type === "Polygon" ? [shape.coordinates[0]!] : shape.coordinates.map((p) => p[0]!);
  let best: [number, number] = [0, 0], most = 0;
  for (const ring of rings) {
    let area = 0, x = 0, y = 0;
    for (let i = 0; i < ring.length - 1; i++) {
      const [[x1, y1], [x2, y2]] = [ring[i] as [number, number], ring[i + 1] as [number, number]];
      const cross = x1 * y2 - x2 * y1;
      area += cross; x += (x1 + x2) * cross; y += (y1 + y2) * cross;
    }
    if (Math.abs(area) > most) { most = Math.abs(area); best = [x / (3 * area), y / (3 * area)]; }
  }
  return best;
}

const css = ([r, g, b, a]: Rgba) => `rgba(${r},${g},${b},${a / 255})`;

/** Districts in their class and with their number; names of places give way to them. */
function draw(twin: TwinMap, shapes: Shape[], by: Measure): void {
  const map = twin.map, look = theme.value;
  const [edges, fill] = [bounds(shapes.map((f) => f.properties), by), shades(by, look)];
  const data = {
    type: "FeatureCollection",
    features: shapes.map((f) => {
      const v = value(f.properties, by);
      const paint = v === null ? rgba(look, "land", 235) : fill[edges.filter((e) => v >= e).length]!;
      return { ...f, properties: { fill: css(paint) } };
    }),
  } as GeoJSON.FeatureCollection;
  const names = {
    type: "FeatureCollection",
    features: shapes.map((f) => {
      const v = value(f.properties, by);
      return { type: "Feature", geometry: { type: "Point", coordinates: centre(f.geometry) }, properties: { text: `${f.properties.name}\n${written(v, by)}`, rank: -(v ?? 0) } };
    }),
  } as GeoJSON.FeatureCollection;
  const source = map.getSource("coverage") as GeoJSONSource | undefined;
  if (source) {
    source.setData(data);
    return void (map.getSource("coverage-names") as GeoJSONSource).setData(names);
  }
  for (const layer of map.getStyle().layers) if (layer.type === "symbol") map.setLayoutProperty(layer.id, "visibility", "none");
  map.addSource("coverage", { type: "geojson", data });
  map.addSource("coverage-names", { type: "geojson", data: names });
  map.addLayer({ id: "coverage", type: "fill", source: "coverage", paint: { "fill-color": ["get", "fill"] } });
  map.addLayer({ id: "coverage-line", type: "line", source: "coverage", paint: { "line-color": css(rgba(look, look === "day" ? "halo" : "boundary")), "line-width": look === "day" ? 1.5 : 1 } });
  map.addLayer({ id: "coverage-text", type: "symbol", source: "coverage-names",
    layout: { "text-field": ["get", "text"], "text-size": 13, "text-line-height": 1.35, "symbol-sort-key": ["get", "rank"], "text-padding": 1 },
    paint: { "text-color": css(rgba(look, "text")), "text-halo-color": css(rgba(look, "halo")), "text-halo-width": 1.6 } });
}

function Legend({ rows, by }: { rows: Covered[]; by: Measure }) {
  const edges = bounds(rows, by);
  const say = (v: number) => (by === "age" ? num(v) : by === "score" ? String(v) : num(v, v < 10 ? 2 : 0));
  const names = shades(by, theme.value).map((_, i) => (i === 0 ? `< ${say(edges[0]!)}` : i === 4 ? `≥ ${say(edges[3]!)}` : `${say(edges[i - 1]!)} – ${say(edges[i]!)}`));
  return (
    <ul class="legend" aria-label={t("cat.legend")}>
      <li class="muted">{t(`cat.measure.${by}.unit` as Key)}</li>
      {shades(by, theme.value).map((c, i) => <li><i style={{ background: css(c) }} />{names[i]}</li>)}
      <li><i class="no" />{t("cat.nodata")}</li>
    </ul>
  );
}

export function Coverage({ of }: { of: Detail }) {
  const [shapes, setShapes] = useState<Shape[] | null>(null);
  const [by, setBy] = useState<Measure>("things");
  const [styles, setStyles] = useState(0);
  const frame = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  useEffect(() => {
    get<GeoJSON.FeatureCollection>(`/api/v1/catalogue/${of.kind}/coverage?f=geojson`).then((found) => setShapes(found.features as unknown as Shape[]), (why: Error) => s.tell(why.message, true));
  }, [of.kind]);
  useEffect(() => {
    const { bounds: b, center, zoom } = s.config.value;
    const map = createMap({ container: frame.current!, theme: theme.value, lang: lang.value, center, zoom: zoom - 2 });
    map.map.fitBounds([[b[0], b[1]], [b[2], b[3]]], { padding: 16, animate: false });
    map.map.on("style.load", () => setStyles((n) => n + 1));
    made.current = map;
    return () => { map.map.remove(); made.current = null; };
  }, []);
  const first = useRef(true);
  useEffect(() => {
    // The map is made in the theme of the moment; only a change needs a new style.
    if (!first.current) made.current?.setTheme(theme.value, lang.value);
    first.current = false;
  }, [theme.value, lang.value]);
  useEffect(() => { if (made.current && shapes && styles) draw(made.current, shapes, by); }, [shapes, by, styles, lang.value]);
  const rows = (shapes ?? []).map((f) => f.properties);
  const sorted = [...rows].sort((a, b) => (value(b, by) ?? -1) - (value(a, by) ?? -1));
  return (
    <div class="coverage">
      <div class="measures" role="radiogroup" aria-label={t("cat.measure")}>
        {MEASURES.map((m) => <label class={m === by ? "on" : ""}><input type="radio" name="measure" checked={m === by} onChange={() => setBy(m)} />{t(`cat.measure.${m}` as Key)}</label>)}
      </div>
      <div class="both">
        <div class="mapbox">
          <div class="map" ref={frame} role="img" aria-label={t("cat.map.label", { kind: tt(of.title), what: t(`cat.measure.${by}` as Key) })} />
          {rows.length > 0 && <Legend rows={rows} by={by} />}
        </div>
        <Table label={t("cat.tab.coverage")} rows={sorted} empty={t("cat.loading")} id={(r) => r.district} columns={[
          { key: "name", title: t("cat.district"), cell: (r) => r.name },
          { key: "things", title: t("cat.things"), number: true, cell: (r) => num(r.things) },
          { key: "per", title: t("cat.measure.per_km2"), number: true, cell: (r) => r.per_km2 ? (r.per_km2 < 10 ? r.per_km2.toFixed(2) : num(r.per_km2, 0)) : <span class="muted">—</span> },
          { key: "score", title: t("cat.score"), cell: (r) => r.things ? <Score value={r.score} /> : <span class="muted">—</span> },
          { key: "fresh", title: t("cat.fresh"), cell: (r) => <span class="nowrap">{r.things ? ago(r.freshest) : "—"}</span> },
        ]} />
      </div>
    </div>
  );
}
