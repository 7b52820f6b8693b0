/** What tools and alarms lay over the map: each group follows the signals that it shows. */
import { effect } from "@preact/signals";
import { clusters, GeoJsonLayer, IconLayer, metres, PathLayer, PolygonLayer, ringOf, rgba, ScatterplotLayer, squareMetres, TextLayer, type Cluster, type TwinMap } from "../mapkit";
import type { Layer } from "@deck.gl/core";
import { km, num } from "../common/format";
import { t } from "../common/i18n";
import { theme } from "../common/theme";
import type { LonLat } from "../common/types";
import { ringing, standing, type Standing } from "./alarmstore";
import { drawOutline } from "../common/outline";
import { groupLayers, pulse } from "./eventlayers";
import { theAtlas } from "./mapview";
import * as s from "./store";
import * as w from "./toolstore";

let twin: TwinMap;
const FONT = "Noto Sans CJK SC, PingFang SC, sans-serif";
type Ink = [number, number, number, number];
const ink = (token: string, alpha = 255): Ink => rgba(theme.value, token, alpha);

export function startOverlays(map: TwinMap): void {
  twin = map;
  const on = (read: () => unknown, draw: () => void) => effect(() => { read(); draw(); });
  on(() => [standing.value, s.hidden.value, theme.value], drawAlarms);
  on(() => ringing.value.size, () => ringing.value.size && pulse());
  on(() => [w.drawing.value, theme.value], drawDrawing);
  on(() => [w.area.value, w.following.value, theme.value], drawArea);
  on(() => [w.found.value, theme.value], drawFound);
  on(() => [w.plots.value, w.plotsShown.value, w.chosenPlot.value, theme.value], drawPlots);
  on(() => [w.sectors.value, w.looked.value, theme.value], drawSectors);
  on(() => [w.trail.value, theme.value], drawTrail);
  on(() => [w.difference.value, theme.value], drawDifference);
  on(() => [s.outline.value, theme.value], () => drawOutline(twin, s.outline.value));
  twin.map.on("zoomend", drawAlarms);
  let asked = 0;
  twin.map.on("moveend", () => {
    if (!w.following.value) return;
    clearTimeout(asked);
    asked = window.setTimeout(() => void w.select(w.viewArea()).catch((why: Error) => s.tell(why.message)), 250);
  });
  effect(() => {
    const chosen = s.thing.value;
    const moves = chosen && (chosen.kind === "vehicle" || chosen.kind === "crew") && s.selected.value?.type === "thing";
    if (moves) void w.loadTrail(chosen.num).catch(() => undefined);
    else w.trail.value = null;
  });
}

/** Draw again what depends on colours or on the atlas. */
export function drawOverlays(): void {
  for (const draw of [drawDrawing, drawArea, drawFound, drawPlots, drawSectors, drawTrail, drawDifference]) draw();
}

export function drawAlarms(): void {
  if (!twin) return;
  const zoom = twin.map.getZoom();
  const list = s.hidden.value.has("alarms") ? [] : standing.value;
  const groups = list.length > 60 ? clusters(list, (a) => a.point, (a) => a.severity, zoom, 52) : null;
  const single: Standing[] = groups ? groups.filter((g) => g.items.length === 1).map((g) => g.items[0]!) : list;
  const atlas = theAtlas();
  twin.setGroup("alarms", [
    ...(groups ? groupLayers("alarm-groups", groups.filter((g) => g.items.length > 1) as Cluster<unknown>[]) : []),
    new IconLayer<Standing>({
      id: "alarms", data: single, pickable: true, getPosition: (a) => a.point, iconAtlas: atlas.atlas as never, iconMapping: atlas.mapping,
      getIcon: (a) => `a${Math.min(4, Math.max(1, a.severity))}${a.state === "rung" ? "" : "-known"}`, getSize: zoom < 11 ? 22 : zoom < 13 ? 28 : 34, sizeUnits: "pixels", alphaCutoff: 0.05,
      updateTriggers: { getIcon: theme.value },
    }),
  ]);
}

/** Labels, where there is something to write: the atlas of no text is a canvas of no size. */
const labels = (id: string, data: { at: LonLat; text: string; token?: string }[], more: object = {}): Layer[] => (!data.length ? [] : [new TextLayer<{ at: LonLat; text: string; token?: string }>({
  id, data, getPosition: (d) => d.at, getText: (d) => d.text, getSize: 13, fontFamily: FONT, fontWeight: 600, getColor: (d) => ink(d.token ?? "text"), background: true,
  getBackgroundColor: ink("panel_solid", 225), backgroundPadding: [6, 3], characterSet: "auto", updateTriggers: { getColor: theme.value }, ...more,
})]);

function drawDrawing(): void {
  const d = w.drawing.value;
  if (!d?.points.length) return twin.setGroup("draw", []);
  const ring = ringOf(d.points, d.mode);
  const token = d.ink;
  const layers: Layer[] = [];
  const closed = d.mode !== "line" && d.mode !== "point";
  if (closed && ring.length > 3) layers.push(new PolygonLayer<{ ring: LonLat[] }>({ id: "draw-fill", data: [{ ring }], getPolygon: (o) => o.ring, getFillColor: ink(token, 34), stroked: false }));
  if (ring.length > 1) layers.push(new PathLayer<{ ring: LonLat[] }>({ id: "draw-line", data: [{ ring }], getPath: (o) => o.ring as never, widthUnits: "pixels", getWidth: 2.5, getColor: ink(token), jointRounded: true, capRounded: true }));
  const corners = d.mode === "circle" ? d.points.slice(0, 1) : d.points;
  layers.push(new ScatterplotLayer<LonLat>({ id: "draw-points", data: corners, getPosition: (p) => p, radiusUnits: "pixels", getRadius: 4.5, filled: true, getFillColor: ink("panel_solid"), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: ink(token) }));
  layers.push(...labels("draw-labels", measures(d.points, d.mode), { getPixelOffset: [0, -18] }));
  twin.setGroup("draw", layers);
}

/** What a drawing measures, written where it is: each leg, the whole way, the area, the radius. */
export function measures(points: LonLat[], mode: string): { at: LonLat; text: string }[] {
  if (mode === "circle") return points.length > 1 ? [{ at: points[1]!, text: `${t("measure.radius")} ${km(metres(points[0]!, points[1]!))}` }] : [];
  if (mode === "polygon" || mode === "box") {
    const ring = ringOf(points, mode as never);
    return ring.length > 3 ? [{ at: middle(ring), text: areaText(squareMetres(ring)) }] : [];
  }
  let sum = 0;
  return points.slice(1).map((p, i) => {
    sum += metres(points[i]!, p);
    return { at: p, text: km(sum) };
  });
}

export function areaText(m2: number): string {
  return m2 < 10_000 ? `${num(Math.round(m2))} m²` : m2 < 1e6 ? `${num(m2 / 1e4)} ${t("unit.ha")}` : `${num(m2 / 1e6)} km²`;
}

const middle = (ring: LonLat[]): LonLat => [ring.reduce((n, p) => n + p[0], 0) / ring.length, ring.reduce((n, p) => n + p[1], 0) / ring.length];

function drawArea(): void {
  const a = w.area.value;
  if (!a || w.following.value || w.drawing.value?.purpose === "select") return twin.setGroup("areas", []);
  const ring = "shape" in a ? (a.shape.coordinates[0] as LonLat[]) : ringOf([a.circle.center, [a.circle.center[0] + a.circle.radius_m / (111_195 * Math.cos((a.circle.center[1] * Math.PI) / 180)), a.circle.center[1]]], "circle");
  twin.setGroup("areas", [
    new PolygonLayer<LonLat[]>({ id: "area", data: [ring], getPolygon: (r) => r, getFillColor: ink("selected", 18), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: ink("selected", 220) }),
  ]);
}

function drawFound(): void {
  const list = w.found.value?.things ?? [];
  twin.setGroup("found", [new ScatterplotLayer<w.FoundThing>({
    id: "found", data: list, pickable: true, getPosition: (d) => d.point, radiusUnits: "pixels", getRadius: list.length > 800 ? 3.5 : 6, filled: true, getFillColor: ink("selected", 235),
    stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: ink("halo"),
  })]);
}

function drawPlots(): void {
  const list = w.plotsShown.value ? w.plots.value : [];
  const token = (p: w.Plot) => p.properties.style.ink;
  const width = (p: w.Plot) => p.properties.style.width + (w.chosenPlot.value === p.id ? 2 : 0);
  const shapes = list.filter((p) => p.geometry.type !== "Point");
  const points = list.filter((p) => p.geometry.type === "Point");
  const arrows = shapes.filter((p) => p.properties.form === "arrow").map((p) => ({ p, path: head(p.geometry.coordinates as LonLat[]) }));
  const named = list.filter((p) => p.properties.title).map((p) => ({ at: anchor(p), text: p.properties.title, token: p.properties.form === "text" ? token(p) : "text" }));
  const trigger = [theme.value, w.chosenPlot.value];
  twin.setGroup("plots", [
    new GeoJsonLayer({
      id: "plots-shapes", data: shapes as never, pickable: true, stroked: true, filled: true, lineWidthUnits: "pixels", getLineWidth: ((p: w.Plot) => width(p)) as never,
      getLineColor: ((p: w.Plot) => ink(token(p))) as never, getFillColor: ((p: w.Plot) => ink(token(p), 36)) as never, lineJointRounded: true, lineCapRounded: true,
      updateTriggers: { getLineColor: trigger, getFillColor: trigger, getLineWidth: trigger },
    }),
    new PathLayer<(typeof arrows)[number]>({ id: "plots-heads", data: arrows, getPath: (a) => a.path as never, widthUnits: "pixels", getWidth: (a) => width(a.p), getColor: (a) => ink(token(a.p)), jointRounded: true, capRounded: true, updateTriggers: { getColor: trigger, getWidth: trigger } }),
    new ScatterplotLayer<w.Plot>({
      id: "plots-points", data: points.filter((p) => p.properties.form === "point"), pickable: true, getPosition: (p) => p.geometry.coordinates as LonLat, radiusUnits: "pixels", getRadius: 8,
      filled: true, getFillColor: (p) => ink(token(p)), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2.5, getLineColor: ink("halo"), updateTriggers: { getFillColor: trigger },
    }),
    ...labels("plots-names", named, { getPixelOffset: [0, -20], getSize: 14 }),
  ]);
}

function anchor(p: w.Plot): LonLat {
  if (p.geometry.type === "Point") return p.geometry.coordinates as LonLat;
  if (p.geometry.type === "LineString") return p.geometry.coordinates[Math.floor(p.geometry.coordinates.length / 2)] as LonLat;
  return middle(p.geometry.coordinates[0] as LonLat[]);
}

/** The two strokes of an arrow's head, a share of its last leg. */
function head(path: LonLat[]): LonLat[] {
  const [a, b] = [path.at(-2)!, path.at(-1)!];
  const shrink = Math.cos((b[1] * Math.PI) / 180);
  const [dx, dy] = [(b[0] - a[0]) * shrink, b[1] - a[1]];
  const size = Math.min(0.22, 0.004 / Math.max(1e-9, Math.hypot(dx, dy)) + 0.1);
  const turn = (angle: number): LonLat => {
    const [x, y] = [-dx * size, -dy * size];
    return [b[0] + (x * Math.cos(angle) - y * Math.sin(angle)) / shrink, b[1] + x * Math.sin(angle) + y * Math.cos(angle)];
  };
  return [turn(0.5), b, turn(-0.5)];
}

type Sector = { id: number; properties: { range_m: number } };
/** High cameras see kilometres: drawn as others they would cover the city. */
const wide = (f: Sector) => f.properties.range_m > 600;

function drawSectors(): void {
  const seen = new Set((w.looked.value?.cameras ?? []).map((c) => c.num));
  const features = (w.sectors.value?.features ?? []) as (GeoJSON.Feature & { id: number })[];
  const at = w.looked.value?.at;
  const lines = at ? w.looked.value!.cameras.map((c) => ({ path: [c.point, at] })) : [];
  twin.setGroup("sectors", [
    new GeoJsonLayer({
      id: "sectors", data: features as never, stroked: true, filled: true, lineWidthUnits: "pixels", getLineWidth: 1, updateTriggers: { getFillColor: [seen.size, at, theme.value], getLineColor: [seen.size, at, theme.value] },
      getFillColor: ((f: Sector) => ink(seen.has(f.id) ? "selected" : "moving", wide(f) ? (seen.has(f.id) ? 16 : 0) : seen.has(f.id) ? 90 : 40)) as never,
      getLineColor: ((f: Sector) => ink(seen.has(f.id) ? "selected" : "moving", wide(f) ? (seen.has(f.id) ? 110 : 30) : 150)) as never,
    }),
    new PathLayer<{ path: LonLat[] }>({ id: "sights", data: lines, getPath: (l) => l.path as never, widthUnits: "pixels", getWidth: 1.5, getColor: ink("selected", 170) }),
    new ScatterplotLayer<LonLat>({ id: "looked", data: at ? [at] : [], getPosition: (p) => p, radiusUnits: "pixels", getRadius: 6, filled: true, getFillColor: ink("selected"), stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: ink("halo") }),
  ]);
}

/** The way of the last half hour, fainter the longer ago. */
function drawTrail(): void {
  const points = w.trail.value?.points ?? [];
  const legs = points.slice(1).map((p, i) => ({ path: [points[i]!.slice(0, 2), p.slice(0, 2)], age: (i + 1) / points.length }));
  twin.setGroup("trail", [new PathLayer<(typeof legs)[number]>({ id: "trail", data: legs, getPath: (l) => l.path as never, widthUnits: "pixels", getWidth: 3, getColor: (l) => ink("selected", Math.round(40 + 200 * l.age)), capRounded: true, updateTriggers: { getColor: theme.value } })]);
}

const CHANGE: Record<string, string> = { added: "good", changed: "minor", removed: "critical" };

function drawDifference(): void {
  const d = w.difference.value;
  const marks = d?.marks.filter((m) => m.geometry) ?? [];
  const brief = d ? [["opened", "critical"], ["ended", "good"], ["moved", "minor"]].flatMap(([key, token]) => d.events[key as "opened"].filter((b) => b.point[0] !== null).map((b) => ({ at: b.point as LonLat, token: token! }))) : [];
  twin.setGroup("difference", d ? [
    new GeoJsonLayer({
      id: "difference", data: marks.map((m) => ({ type: "Feature", geometry: m.geometry, properties: m })) as never, stroked: true, filled: true, pointType: "circle", pointRadiusUnits: "pixels", getPointRadius: 6,
      lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: ((f: { properties: w.Mark }) => ink(CHANGE[f.properties.change]!)) as never, getFillColor: ((f: { properties: w.Mark }) => ink(CHANGE[f.properties.change]!, 90)) as never,
    }),
    new ScatterplotLayer<(typeof brief)[number]>({ id: "difference-events", data: brief, getPosition: (b) => b.at, radiusUnits: "pixels", getRadius: 18, filled: false, stroked: true, lineWidthUnits: "pixels", getLineWidth: 3, getLineColor: (b) => ink(b.token) }),
  ] : []);
}
