/** Drawing on a map by clicks: a line or an area, a double click or Enter ends it, Escape drops it. */
import { GeoJsonLayer, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import { theme } from "../../common/theme";
import type { LonLat } from "../../common/types";

export type Sketch = { type: "LineString"; coordinates: LonLat[] } | { type: "Polygon"; coordinates: LonLat[][] };

export function sketch(twin: TwinMap, kind: "line" | "area", done: (of: Sketch | null) => void): () => void {
  const points: LonLat[] = [];
  let over: LonLat | null = null;
  const shape = (): Sketch => {
    const all = over ? [...points, over] : points;
    return kind === "line" || all.length < 3 ? { type: "LineString", coordinates: all } : { type: "Polygon", coordinates: [[...all, all[0]!]] };
  };
  const draw = () => {
    const ink = rgba(theme.value, "critical");
    const made = shape();
    const few = (made.type === "LineString" ? made.coordinates : made.coordinates[0]!).length < 2;
    twin.setGroup("sketch", [
      ...(few ? [] : [new GeoJsonLayer({ id: "sketch", data: { type: "Feature", properties: {}, geometry: made } as never, stroked: true, filled: kind === "area", getFillColor: [...ink.slice(0, 3), 40] as never, getLineColor: ink, lineWidthUnits: "pixels", getLineWidth: 4 })]),
      new ScatterplotLayer<LonLat>({ id: "sketch-points", data: points, getPosition: (p) => p, radiusUnits: "pixels", getRadius: 5, getFillColor: ink, stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgba(theme.value, "halo") }),
    ]);
  };
  const click = (e: { lngLat: { lng: number; lat: number } }) => { points.push([Number(e.lngLat.lng.toFixed(6)), Number(e.lngLat.lat.toFixed(6))]); over = null; draw(); };
  const move = (e: { lngLat: { lng: number; lat: number } }) => { if (points.length) { over = [e.lngLat.lng, e.lngLat.lat]; draw(); } };
  const stop = (of: Sketch | null) => {
    twin.map.off("click", click);
    twin.map.off("mousemove", move);
    twin.map.off("dblclick", end);
    removeEventListener("keydown", key);
    twin.map.doubleClickZoom.enable();
    twin.map.getCanvas().style.cursor = "";
    twin.setGroup("sketch", []);
    done(of);
  };
  const finish = () => {
    over = null;
    // A double click has put its place in twice.
    const clean = points.filter((p, i) => i === 0 || Math.hypot(p[0] - points[i - 1]![0], p[1] - points[i - 1]![1]) > 1e-6);
    points.splice(0, points.length, ...clean);
    if (points.length >= (kind === "line" ? 2 : 3)) stop(shape());
  };
  const end = (e: { preventDefault(): void }) => { e.preventDefault(); finish(); };
  const key = (e: KeyboardEvent) => { if (e.key === "Enter") finish(); if (e.key === "Escape") stop(null); };
  twin.map.doubleClickZoom.disable();
  twin.map.getCanvas().style.cursor = "crosshair";
  twin.map.on("click", click);
  twin.map.on("mousemove", move);
  twin.map.on("dblclick", end);
  addEventListener("keydown", key);
  return () => stop(null);
}
