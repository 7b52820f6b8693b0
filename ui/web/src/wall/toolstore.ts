/** What the tools of the wall hold: what is being drawn, what was found, plots, cameras, differences. */
import { signal } from "@preact/signals";
import { Draw, ringOf, type DrawMode } from "../mapkit";
import { get, post, send } from "../common/api";
import type { LonLat, Titled } from "../common/types";
import { theMap } from "./mapview";
import * as s from "./store";

/** What is being drawn, and what it is drawn for. */
export interface Drawing { mode: DrawMode; points: LonLat[]; done: boolean; purpose: string; ink: string }
export const drawing = signal<Drawing | null>(null);
let draw: Draw | null = null;

export function startDraw(mode: DrawMode, purpose: string, finished: (points: LonLat[], mode: DrawMode) => void, ink = "selected"): void {
  stopDraw();
  const map = theMap()?.map;
  if (!map) return;
  s.drawing.value = true;
  drawing.value = { mode, points: [], done: false, purpose, ink };
  draw = new Draw(map, mode, {
    change: (points) => (drawing.value = { mode, points, done: false, purpose, ink }),
    done: (points) => {
      drawing.value = { mode, points, done: true, purpose, ink };
      finished(points, mode);
      // The click that ended it must not open what lies under it.
      setTimeout(() => (s.drawing.value = false), 50);
    },
    cancel: stopDraw,
  });
}

export function stopDraw(): void {
  draw?.end();
  draw = null;
  drawing.value = null;
  s.drawing.value = false;
}

/* ---- selection: what lies within an area, in numbers and on the map ---- */
export interface Selected {
  area_m2: number;
  kinds: { kind: string; title: Titled; topic: string; icon: string | null; n: number }[];
  districts: { code: string; name: string | null; kinds: Record<string, number>; n: number }[];
  events: { open: number; severity: Record<string, number>; codes: string[] };
  alarms: { open: number; codes: string[] };
}
export interface FoundThing { num: number; kind: string; code: string; name: string; district_name: string | null; point: LonLat }
export type Area = { shape: GeoJSON.Polygon } | { circle: { center: LonLat; radius_m: number } };

export const area = signal<Area | null>(null);
/** Follow the map: the area is what is in view. */
export const following = signal(false);
export const selection = signal<Selected | null>(null);
export const chosenKinds = signal<string[]>([]);
export const chosenDistrict = signal<string | null>(null);
export const found = signal<{ total: number; things: FoundThing[] } | null>(null);

const at = () => (s.moment.value === null ? null : new Date(s.moment.value).toISOString());
let asked = 0;

export async function select(next: Area | null): Promise<void> {
  area.value = next;
  const mine = ++asked;
  if (!next) {
    selection.value = found.value = null;
    return;
  }
  const got = await post<Selected>("/api/v1/selection", { ...next, at: at() });
  if (mine !== asked) return;
  selection.value = got;
  await list();
}

/** Show the things of the chosen kinds (and district) of the area. */
export async function list(): Promise<void> {
  const here = area.value;
  if (!here || !chosenKinds.value.length) {
    found.value = null;
    return;
  }
  const mine = asked;
  const got = await post<{ total: number; things: FoundThing[] }>("/api/v1/selection/things", { ...here, at: at(), kinds: chosenKinds.value, district: chosenDistrict.value, limit: 3000 });
  if (mine === asked) found.value = got;
}

export function viewArea(): Area | null {
  const v = s.view.value;
  if (!v) return null;
  return { shape: { type: "Polygon", coordinates: [ringOf([[v[0], v[1]], [v[2], v[3]]], "box")] } };
}

/* ---- plots ---- */
export type PlotForm = "point" | "line" | "arrow" | "zone" | "circle" | "text";
export interface PlotStyle { ink: string; width: number; radius_m?: number }
export interface Plot { id: string; geometry: GeoJSON.Point | GeoJSON.LineString | GeoJSON.Polygon; properties: { version: number; form: PlotForm; title: string; style: PlotStyle; shared: boolean; owner: string; owner_name: Titled | null; at: string; mine: boolean } }
export const plots = signal<Plot[]>([]);
export const plotsShown = signal(true);
export const chosenPlot = signal<string | null>(null);

export async function loadPlots(): Promise<void> {
  const then = at();
  plots.value = (await get<{ features: Plot[] }>(`/api/v1/plots${then ? `?at=${encodeURIComponent(then)}` : ""}`)).features;
}

export async function savePlot(plot: { form: PlotForm; title: string; geometry: GeoJSON.Geometry; style: PlotStyle; shared: boolean }, change?: Plot): Promise<void> {
  if (change) await send("PUT", `/api/v1/plots/${change.id}`, { ...plot, version: change.properties.version });
  else await post("/api/v1/plots", plot);
  await loadPlots();
}

export async function removePlot(id: string): Promise<void> {
  await send("DELETE", `/api/v1/plots/${id}`);
  await loadPlots();
}

/* ---- cameras ---- */
export interface Camera { num: number; code: string; name: string; type: string; watches: string; height_m: number | null; point: LonLat; heading_deg: number; fov_deg: number; range_m: number; turns: boolean; assumed: boolean; online: boolean | null; distance_m?: number; bearing_deg?: number }
export const sectors = signal<GeoJSON.FeatureCollection | null>(null);
export const looked = signal<{ at: LonLat; cameras: Camera[] } | null>(null);

export async function camerasSeeing(point: LonLat, limit = 12): Promise<Camera[]> {
  return (await get<{ cameras: Camera[] }>(`/api/v1/cameras/seeing?lon=${point[0].toFixed(6)}&lat=${point[1].toFixed(6)}&limit=${limit}`)).cameras;
}

/* ---- the difference of two moments ---- */
export interface Mark { kind: string; title: Titled; geometry: GeoJSON.Geometry | null; num: number; code: string; name: string | null; change: "added" | "changed" | "removed" }
export interface Brief { code: string; title: string; severity: number; state: string; was?: string; point: [number | null, number | null] }
export interface CaseDifference { before: number; after: number; opened: Brief[]; ended: Brief[]; moved: Brief[] }
export interface Difference { from: string; to: string; things: { kind: string; title: Titled; added: number; changed: number; removed: number; moved: number }[]; marks: Mark[]; events: CaseDifference; alarms?: CaseDifference; kinds_left_out: number }
export const difference = signal<Difference | null>(null);

/* ---- the way of a moving thing ---- */
export const trail = signal<{ num: number; points: [number, number, number][] } | null>(null);

export async function loadTrail(num: number): Promise<void> {
  const to = s.shownNow();
  const q = new URLSearchParams({ from: new Date(to - 30 * 60e3).toISOString(), to: new Date(to).toISOString() });
  trail.value = await get<{ num: number; points: [number, number, number][] }>(`/api/v1/tracks/${num}?${q}`);
}
