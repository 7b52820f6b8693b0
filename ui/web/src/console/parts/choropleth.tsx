/** Areas coloured by a number in five classes, each with its name and its number, and a legend. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { GeoJSONSource } from "maplibre-gl";
import { lang, t } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, rgba, type Theme, type TwinMap } from "../../mapkit";
import * as s from "../state";
import "./choropleth.css";

export type Area<P> = GeoJSON.Feature<GeoJSON.Polygon | GeoJSON.MultiPolygon, P>;
export type Rgba = [number, number, number, number];
export interface Scale<P> {
  value: (row: P) => number | null;
  /** Four bounds between five classes. */
  edges: number[];
  /** Five colours for a theme. */
  shades: (look: Theme) => Rgba[];
  written: (value: number | null) => string;
  /** A bound in the legend. */
  bound: (value: number) => string;
  unit: string;
}

function mix(a: Rgba, b: Rgba, share: number): Rgba {
  return a.map((v, i) => Math.round(v + (b[i]! - v) * share)) as Rgba;
}

/** From the colour of land to that of what is selected: more is darker. */
export function amounts(look: Theme): Rgba[] {
  const [from, to] = [rgba(look, "land", 235), rgba(look, "selected", 235)];
  return [0.14, 0.32, 0.5, 0.7, 0.92].map((share) => mix(from, to, share));
}

/** Four bounds that put as many areas in each class. */
export function quantiles(values: (number | null)[]): number[] {
  const known = values.filter((v): v is number => v !== null).sort((a, b) => a - b);
  return [0.2, 0.4, 0.6, 0.8].map((q) => known[Math.min(known.length - 1, Math.floor(q * known.length))] ?? 0);
}

/** The centre of the largest part: an island group is named once. */
function centre(shape: GeoJSON.Polygon | GeoJSON.MultiPolygon): [number, number] {
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

/** Areas in their class and with their number; names of places give way to them. */
function draw<P extends { name: string }>(twin: TwinMap, shapes: Area<P>[], scale: Scale<P>): void {
  const map = twin.map, look = theme.value, fill = scale.shades(look);
  const data = {
    type: "FeatureCollection",
    features: shapes.map((f) => {
      const v = scale.value(f.properties);
      const paint = v === null ? rgba(look, "land", 235) : fill[scale.edges.filter((e) => v >= e).length]!;
      return { ...f, properties: { fill: css(paint) } };
    }),
  } as GeoJSON.FeatureCollection;
  const names = {
    type: "FeatureCollection",
    features: shapes.map((f) => {
      const v = scale.value(f.properties);
      return { type: "Feature", geometry: { type: "Point", coordinates: centre(f.geometry) }, properties: { text: `${f.properties.name}\n${scale.written(v)}`, rank: -(v ?? 0) } };
    }),
  } as GeoJSON.FeatureCollection;
  const source = map.getSource("areas") as GeoJSONSource | undefined;
  if (source) {
    source.setData(data);
    return void (map.getSource("areas-names") as GeoJSONSource).setData(names);
  }
  for (const layer of map.getStyle().layers) if (layer.type === "symbol") map.setLayoutProperty(layer.id, "visibility", "none");
  map.addSource("areas", { type: "geojson", data });
  map.addSource("areas-names", { type: "geojson", data: names });
  map.addLayer({ id: "areas", type: "fill", source: "areas", paint: { "fill-color": ["get", "fill"] } });
  map.addLayer({ id: "areas-line", type: "line", source: "areas", paint: { "line-color": css(rgba(look, look === "day" ? "halo" : "boundary")), "line-width": look === "day" ? 1.5 : 1 } });
  map.addLayer({ id: "areas-text", type: "symbol", source: "areas-names",
    layout: { "text-field": ["get", "text"], "text-size": 13, "text-line-height": 1.35, "symbol-sort-key": ["get", "rank"], "text-padding": 1 },
    paint: { "text-color": css(rgba(look, "text")), "text-halo-color": css(rgba(look, "halo")), "text-halo-width": 1.6 } });
}

function Legend<P>({ scale }: { scale: Scale<P> }) {
  const { edges, bound } = scale;
  const said = (i: number) => (i === 0 ? `< ${bound(edges[0]!)}` : i === 4 ? `≥ ${bound(edges[3]!)}` : `${bound(edges[i - 1]!)} – ${bound(edges[i]!)}`);
  return (
    <ul class="legend" aria-label={t("cat.legend")}>
      <li class="muted">{scale.unit}</li>
      {scale.shades(theme.value).map((c, i) => <li><i style={{ background: css(c) }} />{said(i)}</li>)}
      <li><i class="no" />{t("cat.nodata")}</li>
    </ul>
  );
}

export function Choropleth<P extends { name: string }>({ shapes, scale, label }: { shapes: Area<P>[] | null; scale: Scale<P>; label: string }) {
  const [styles, setStyles] = useState(0);
  const frame = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
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
  useEffect(() => { if (made.current && shapes && styles) draw(made.current, shapes, scale); }, [shapes, scale, styles, lang.value]);
  return (
    <div class="mapbox areas">
      <div class="map" ref={frame} role="img" aria-label={label} />
      {shapes && shapes.length > 0 && <Legend scale={scale} />}
    </div>
  );
}
