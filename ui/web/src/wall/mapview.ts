/** The wall's map: ties the signals to mapkit, and the mouse to the signals. */
import { effect, signal } from "@preact/signals";
import {
  calm, createMap, GeoJsonLayer, liveAtlas, PathLayer, pydeckLayers, rgba, ScatterplotLayer, TextLayer,
  type Atlas, type DeckJson, type FleetLayer, type Theme, type TwinMap,
} from "../mapkit";
import type { MapMouseEvent } from "maplibre-gl";
import { get } from "../common/api";
import { lang } from "../common/i18n";
import { theme } from "../common/theme";
import type { Event, LonLat } from "../common/types";
import { standing } from "./alarmstore";
import { drawAlarms, drawOverlays, startOverlays } from "./overlays";
import { devicePicks, startDevices } from "./devicestore";
import { startFences } from "./fencelayer";
import { drawEvents, drawnEvents, pulse, startEvents } from "./eventlayers";
import { leading, room, screen } from "./place";
import * as s from "./store";
import { startTrees } from "./trees3d";

let twin: TwinMap;
let atlas: Atlas;
let moverJson: DeckJson;
let eventJson: DeckJson;

const EDGES = { top: 56, left: 72, right: 376, bottom: 252 };

/** What the panels leave free: the camera makes room for the drawer, and for the board of screen a. */
function padding(): typeof EDGES {
  const board = document.querySelector(".efficiency")?.clientWidth;
  const drawer = document.querySelector(".drawer")?.clientWidth;
  const right = document.querySelector(".side") ? EDGES.right : 16;
  return { ...EDGES, right, bottom: screen === "main" ? EDGES.bottom : 160, left: board ? board + 16 : EDGES.left + (drawer ?? 0) };
}

export const theMap = (): TwinMap | undefined => twin;
export const theAtlas = (): Atlas => atlas;

export async function startMap(container: HTMLElement): Promise<TwinMap> {
  [moverJson, eventJson] = await Promise.all([get<DeckJson>("/layers/movers"), get<DeckJson>("/layers/events")]);
  const [w, south, e, n] = s.config.value.bounds;
  twin = createMap({ container, theme: theme.value, lang: lang.value, center: s.config.value.center, zoom: s.config.value.zoom, hash: true, groundFirst: true });
  twin.map.setMaxBounds([w - 1.6, south - 1.1, e + 1.6, n + 1.1]);
  twin.map.setPadding(padding());
  atlas = liveAtlas(theme.value);
  // From below to above: a route never covers the event that it leads to.
  for (const name of ["trees", "field", "areas", "fences", "reach", "sectors", "routes", "trail", "found", "devices", "movers", "events", "alarms", "pulse", "plots", "selection", "minutes", "draw"]) twin.setGroup(name, []);
  startEvents(twin, eventJson);
  startOverlays(twin);
  startFences(twin);
  startDevices(twin);
  startTrees(twin);
  mouse();
  const seen = () => {
    const b = twin.map.getBounds();
    s.view.value = [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()];
  };
  twin.map.on("moveend", seen);
  let scale = 0;
  twin.map.on("zoomend", () => {
    drawEvents();
    if (scale !== moverScale()) drawMovers();
    scale = moverScale();
  });
  twin.map.once("load", seen);
  twin.map.on("rotate", () => (bearing.value = Math.round(twin.map.getBearing())));
  s.onFrame.add(moved);
  twin.overlay.setProps({ onBeforeRender: () => (drawing_since = performance.now()), onAfterRender: drawn });
  let was: Theme = theme.value;
  let said = lang.value;
  effect(() => {
    if (theme.value === was && lang.value === said) return;
    [was, said] = [theme.value, lang.value];
    atlas = liveAtlas(was);
    twin.setTheme(was, said);
    drawAll();
  });
  effect(() => {
    void [s.events.value, s.closedEvents.value, s.hidden.value, s.filter.value, s.gathering.value];
    drawEvents();
  });
  effect(() => {
    void [s.selected.value, s.thing.value, s.hovered.value, s.events.value, s.reporting.value];
    drawSelection();
  });
  effect(() => {
    void s.proposals.value;
    drawRoutes();
  });
  effect(() => twin.setMoment(s.settled.value === null ? null : minute(s.settled.value)));
  let panel = s.panel.value;
  effect(() => {
    if (s.panel.value === panel) return;
    panel = s.panel.value;
    // The drawer is drawn first, then measured.
    requestAnimationFrame(() => twin.map.easeTo({ padding: padding(), duration: calm() ? 0 : 200 }));
  });
  effect(() => show3d(s.threeD.value));
  effect(() => {
    localStorage.setItem("wall.basemap", s.basemap.value);
    lay(s.basemap.value);
  });
  effect(() => raise(s.threeD.value && !s.hidden.value.has("terrain"), s.relief.value));
  effect(() => visibility(s.hidden.value));
  effect(() => fade(s.opacity.value));
  effect(() => {
    if (s.fresh.value.size) pulse();
  });
  twin.map.on("style.load", restyled);
  twin.map.on("move", () => cameraHooks.forEach((f) => f()));
  drawAll();
  marks();
  keepView();
  (window as unknown as { twin: unknown }).twin = { map: twin.map, movers: s.movers, pick: twin.pick, events: drawnEvents, store: s, standing: () => standing.value };
  return twin;
}

/** The style is another or more than it was: lay over it what people chose. */
function restyled(): void {
  visibility(s.hidden.value);
  faded.clear();
  fade(s.opacity.value);
  show3d(s.threeD.value, false);
  lay(s.basemap.value);
  raise(s.threeD.value && !s.hidden.value.has("terrain"), s.relief.value);
  drawEvents();
}

const completed = (): void => void twin.complete().then(restyled, (why: Error) => s.tell(why.message));

/** Note when the ground was first seen, and when everything was: what `bench_wall` reads. */
function marks(): void {
  const seen = () => {
    if (!twin.map.getSource("base") || !twin.map.isSourceLoaded("base")) return;
    twin.map.off("render", seen);
    performance.mark("wall.picture");
    requestAnimationFrame(() => twin.goLive());
    twin.map.once("idle", completed);
  };
  twin.map.on("render", seen);
  // A network that brings no tiles must not keep back what lives.
  setTimeout(() => { twin.goLive(); completed(); }, 6000);
  twin.map.once("idle", () => performance.mark("wall.full"));
}

/** Whole minutes, so that tiles of the past are shared and cached. */
const minute = (at: number) => new Date(Math.floor(at / 60e3) * 60e3).toISOString();

function drawAll(): void {
  drawMovers();
  drawRoutes();
  drawEvents();
  drawAlarms();
  drawOverlays();
  drawSelection();
}

/** How long the browser took for the frame after a drawing; the GPU's time shows nowhere else. */
let frame_ms = 16;
/** What one drawing costs in script. Gliding is worth a hundredth of the machine: dear drawings are made less often. */
let draw_ms = 0.5;
const GLIDE_BUDGET_MS_PER_S = 6;
let fleet: FleetLayer | undefined;
let gliding = 0;

/** New fixes: pack them once; the card glides them, and is asked to draw while something moves, at most 30 times a second. */
function moved(): void {
  const began = performance.now();
  s.movers.pack(theme.value, began);
  s.spent.movers_ms += performance.now() - began;
  if (!gliding) glide();
}

function glide(): void {
  gliding = requestAnimationFrame((now) => {
    redrawMovers();
    // The next frame comes when this drawing is done: how late it is tells what a drawing costs the machine.
    gliding = requestAnimationFrame((next) => {
      frame_ms = frame_ms * 0.7 + Math.min(1000, next - now) * 0.3;
      const rest = Math.max(frame_ms < 45 ? 16 : Math.min(1000, frame_ms * 4), (draw_ms * 1000) / GLIDE_BUDGET_MS_PER_S);
      const over = performance.now() > s.movers.restAt;
      gliding = over ? 0 : window.setTimeout(glide, rest);
      if (over && now < s.movers.restAt) redrawMovers();
    });
  });
}

function redrawMovers(): void {
  fleet?.redraw();
  if (s.selected.value?.type === "thing" && s.thing.value && s.movers.where(s.thing.value.num)) drawSelection();
}

/** Of every drawing of the live layers: what it cost in script. */
let drawing_since = 0;
function drawn(): void {
  const took = performance.now() - drawing_since;
  draw_ms = draw_ms * 0.8 + took * 0.2;
  s.spent.movers_ms += took;
  s.spent.drawings += 1;
}

/** The layer itself: anew only when its look changes. */
function drawMovers(): void {
  s.movers.pack(theme.value, performance.now());
  const look = { movers: s.movers, iconAtlas: atlas.atlas, iconMapping: atlas.mapping, visible: !s.hidden.value.has("movers"), sizeScale: moverScale() };
  const layers = pydeckLayers(moverJson, { movers: look });
  fleet = layers[0] as unknown as FleetLayer;
  twin.setGroup("movers", layers);
}

/** Arrows shrink with the city, so that four hundred vehicles stay a texture and events stand out. */
const moverScale = () => {
  const zoom = twin.map.getZoom();
  return zoom < 11 ? 0.55 : zoom < 12.5 ? 0.75 : zoom < 14 ? 0.9 : 1.1;
};

let framed: unknown = null;

/** Show all of these points at once, beside the panels. */
function fitAll(points: LonLat[]): void {
  if (!points.length) return;
  const [xs, ys] = [points.map((q) => q[0]), points.map((q) => q[1])];
  fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]);
}

function drawRoutes(): void {
  const p = s.proposals.value;
  if (!p) {
    twin?.setGroup("routes", []);
    twin?.setGroup("minutes", []);
    return;
  }
  const hot = p.hot ?? p.data.crews[0]?.code;
  if (framed !== p.data) {
    framed = p.data;
    fitAll(p.data.crews.flatMap((c) => [c.point, ...(c.route ?? [])]));
  }
  const routes = p.data.crews.filter((c) => c.route && c.route.length > 1).sort((a, b) => Number(a.code === hot) - Number(b.code === hot));
  const line = (id: string, width: number, ink: (c: (typeof routes)[number]) => number[]) => new PathLayer({
    id, data: routes, getPath: (c: (typeof routes)[number]) => c.route as never, widthUnits: "pixels", getWidth: (c: (typeof routes)[number]) => (c.code === hot ? width : width - 2),
    getColor: ink as never, capRounded: true, jointRounded: true, updateTriggers: { getColor: [hot, theme.value], getWidth: hot },
  });
  const ink = rgba(theme.value, "selected");
  twin.setGroup("routes", [
    line("routes-casing", 8, () => rgba(theme.value, "halo", 220)),
    line("routes", 5, (c) => (c.code === hot ? ink : [...ink.slice(0, 3), 90])),
  ]);
  twin.setGroup("minutes", !p.data.crews.length ? [] : [
    new TextLayer({
      id: "routes-minutes", data: p.data.crews, getPosition: (c) => c.point, getText: (c) => `${Math.max(1, Math.round((c.travel_s ?? 0) / 60))}′`, getSize: 14,
      fontFamily: "Noto Sans CJK SC, PingFang SC, sans-serif", fontWeight: 700, getColor: rgba(theme.value, "on_accent"), background: true, getBackgroundColor: (c) => (c.code === hot ? ink : rgba(theme.value, "muted")),
      backgroundPadding: [6, 3], getPixelOffset: [0, -24], characterSet: "auto", updateTriggers: { getBackgroundColor: [hot, theme.value] },
    }),
  ]);
}

function drawSelection(): void {
  if (!twin) return;
  const ink = rgba(theme.value, "selected");
  const rings: LonLat[] = [];
  const sel = s.selected.value;
  const ev = sel?.type === "event" ? s.eventById(sel.id) : undefined;
  if (ev?.point) rings.push(ev.point);
  const th = sel?.type === "thing" ? s.thing.value : null;
  const moving = th ? s.movers.where(th.num) : null;
  if (th?.point && !moving && (!th.geometry || th.geometry.type === "Point")) rings.push(th.point);
  if (moving) rings.push(moving);
  if (s.reporting.value) rings.push(s.reporting.value);
  const hot = s.hovered.value ? s.eventById(s.hovered.value) : undefined;
  const shape = th?.geometry && th.geometry.type !== "Point" ? [th.geometry] : [];
  twin.setGroup("selection", [
    new GeoJsonLayer({
      id: "selected-shape", data: shape.map((geometry) => ({ type: "Feature", geometry, properties: {} })) as never, stroked: true, filled: true, lineWidthUnits: "pixels",
      getLineWidth: 2, getLineColor: ink, getFillColor: [...ink.slice(0, 3), 36] as never,
    }),
    new ScatterplotLayer({ id: "selected-ring", data: rings, getPosition: (d: LonLat) => d, radiusUnits: "pixels", getRadius: 21, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: 2.5, getLineColor: ink }),
    new ScatterplotLayer({
      id: "hovered-ring", data: hot?.point ? [hot.point] : [], getPosition: (d: LonLat) => d, radiusUnits: "pixels", getRadius: 21, stroked: true, filled: false, lineWidthUnits: "pixels",
      getLineWidth: 1.5, getLineColor: rgba(theme.value, "text"),
    }),
  ]);
}

function visibility(hidden: Set<string>): void {
  const map = twin.map;
  const style = map.getStyle();
  if (!style) return;
  for (const group of s.tree.value.groups)
    for (const layer of group.layers)
      for (const id of layer.style_layers ?? [])
        if (map.getLayer(id)) map.setLayoutProperty(id, "visibility", hidden.has(layer.id) || (id === "building-3d" && !s.threeD.value) ? "none" : "visible");
  drawMovers();
}

function show3d(on: boolean, move = true): void {
  const map = twin.map;
  if (map.getLayer("building-3d")) map.setLayoutProperty("building-3d", "visibility", on && !s.hidden.value.has("building") ? "visible" : "none");
  if (!move || (map.getPitch() > 20) === on) return;
  const to = on ? { pitch: 58, bearing: -18, zoom: Math.max(map.getZoom(), 14.8) } : { pitch: 0, bearing: 0 };
  if (calm()) map.jumpTo(to);
  else map.easeTo({ ...to, duration: 900 });
}

/** A base map of somebody else covers our land and streets; names, things and what lives stay above. */
function lay(id: string): void {
  const map = twin.map;
  const style = map.getStyle();
  if (!style) return;
  const one = s.config.value.basemaps?.find((b) => b.id === id);
  if (map.getLayer("basemap") && (map.getSource("basemap") as { tiles?: string[] } | undefined)?.tiles?.[0]?.endsWith(one?.tiles ?? " ")) return;
  if (map.getLayer("basemap")) map.removeLayer("basemap");
  if (map.getSource("basemap")) map.removeSource("basemap");
  if (!one) return;
  const after = style.layers.findIndex((l) => l.id === "building");
  map.addSource("basemap", { type: "raster", tiles: [location.origin + one.tiles], tileSize: 256, maxzoom: one.max_zoom, attribution: one.attribution });
  map.addLayer({ id: "basemap", type: "raster", source: "basemap", paint: { "raster-fade-duration": calm() ? 0 : 200, ...(theme.value === "night" ? { "raster-brightness-max": 0.45, "raster-saturation": -0.6 } : {}) } }, style.layers[after + 1]?.id);
}

/** The ground rises in 3D, where its heights are known. */
function raise(on: boolean, times: number): void {
  const map = twin.map;
  if (!map.getSource("terrain")) return;
  const now = map.getTerrain();
  if (on ? now?.exaggeration !== times : now) map.setTerrain(on ? { source: "terrain", exaggeration: times } : null);
}

/** Opacity that somebody chose is laid over what the style says, and taken back by its own value. */
const faded = new Map<string, unknown>();
const OPACITY: Record<string, string[]> = { fill: ["fill-opacity"], line: ["line-opacity"], circle: ["circle-opacity", "circle-stroke-opacity"], symbol: ["icon-opacity", "text-opacity"], "fill-extrusion": ["fill-extrusion-opacity"], hillshade: ["hillshade-exaggeration"] };

function fade(chosen: Map<string, number>): void {
  const map = twin.map;
  for (const layer of s.tree.value.groups.flatMap((g) => g.layers)) {
    const share = chosen.get(layer.id);
    for (const id of layer.style_layers ?? []) {
      const type = map.getLayer(id)?.type;
      for (const name of OPACITY[type ?? ""] ?? []) {
        const key = `${id} ${name}`;
        if (share === undefined && !faded.has(key)) continue;
        if (!faded.has(key)) faded.set(key, map.getPaintProperty(id, name));
        const own = faded.get(key);
        map.setPaintProperty(id, name, share === undefined ? own : typeof own === "number" || own === undefined ? (own ?? 1) * share : share);
      }
    }
  }
}

const cameraHooks = new Set<() => void>();
export const onCamera = (f: () => void): void => void cameraHooks.add(f);

export interface CameraState { lon: number; lat: number; zoom: number; bearing: number; pitch: number }

export function camera(): CameraState | undefined {
  if (!twin) return undefined;
  const at = twin.map.getCenter();
  const round = (n: number, digits: number) => Number(n.toFixed(digits));
  return { lon: round(at.lng, 6), lat: round(at.lat, 6), zoom: round(twin.map.getZoom(), 3), bearing: round(twin.map.getBearing(), 1), pitch: round(twin.map.getPitch(), 1) };
}

/** Look where another screen looks: its messages come ten times a second, so each is a short glide. */
export function setCamera(to: CameraState | undefined): void {
  if (!to || !twin) return;
  const asked = { center: [to.lon, to.lat] as LonLat, zoom: to.zoom, bearing: to.bearing, pitch: to.pitch };
  if (calm()) twin.map.jumpTo(asked);
  else twin.map.easeTo({ ...asked, duration: 140, easing: (k) => k });
}

/** A screen that was switched off shows the same place again. */
function keepView(): void {
  const key = `wall.view.${room ?? "desk"}.${screen}`;
  if (!location.hash && room && !leading.value) return;
  twin.map.on("moveend", () => localStorage.setItem(key, location.hash));
}

/** Where the map looks at, once there is one. */
export function center(): LonLat | null {
  const at = twin?.map.getCenter();
  return at ? [at.lng, at.lat] : null;
}

/** Move the camera to a place that no panel hides. */
export function flyTo(point: LonLat, zoom = 15): void {
  const to = { center: point, zoom: Math.max(twin.map.getZoom(), zoom) };
  if (calm()) twin.map.jumpTo(to);
  else twin.map.easeTo({ ...to, duration: 700 });
}

export function fitBounds(box: [number, number, number, number]): void {
  twin.map.fitBounds(box, { padding: { top: 56, right: 40, bottom: 32, left: 40 }, maxZoom: 16.5, duration: calm() ? 0 : 700 });
}

export function zoomBy(step: number): void {
  twin.map.easeTo({ zoom: twin.map.getZoom() + step, duration: calm() ? 0 : 200 });
}

export function home(): void {
  twin.map.easeTo({ center: s.config.value.center, zoom: s.config.value.zoom, pitch: 0, bearing: 0, duration: calm() ? 0 : 700 });
  s.threeD.value = false;
}

export const centre = (): LonLat => {
  const c = twin.map.getCenter();
  return [c.lng, c.lat];
};

/** The compass may be drawn before the map stands. */
export const bearing = signal(0);

const PICKS = ["alarms", "alarm-groups", "events", "event-groups", "event-hexagons", "found", "plots-points", "plots-shapes", "movers", "fences"];

type Under = { event: Event } | { num: number } | { alarm: string } | { spread: { items: unknown[]; point: LonLat } } | { plot: string };

function under(e: MapMouseEvent): Under | null {
  const hit = twin.pick(e.point.x, e.point.y, [...PICKS, ...devicePicks()]);
  const id = hit?.layer?.id;
  if (id === "events" && hit!.object) return { event: hit!.object as Event };
  if (id === "alarms" && hit!.object) return { alarm: (hit!.object as { code: string }).code };
  if ((id === "event-groups" || id === "alarm-groups" || id === "event-hexagons") && hit!.object) {
    const o = hit!.object as { items: unknown[]; point?: LonLat; center?: LonLat };
    return { spread: { items: o.items, point: (o.point ?? o.center)! } };
  }
  if ((id === "found" || id?.startsWith("devices-")) && hit!.object) return { num: (hit!.object as { num: number }).num };
  if (id === "fences" && hit!.object) return { plot: (hit!.object as { fence: { id: string } }).fence.id };
  if (id?.startsWith("plots-") && hit!.object) return { plot: (hit!.object as { id: string }).id };
  const num = id === "movers" ? s.movers.numAt(hit!.index) : null;
  return num === null ? null : { num };
}

function mouse(): void {
  const map = twin.map;
  map.on("click", (e) => {
    s.menu.value = null;
    if (s.drawing.value) return;
    const hit = under(e);
    if (hit && "event" in hit) return s.openEvent(hit.event.id);
    if (hit && "alarm" in hit) return s.openAlarm(hit.alarm);
    if (hit && "spread" in hit) return flyTo(hit.spread.point, map.getZoom() + 2);
    if (hit && "plot" in hit) return clickHooks.forEach((f) => f([e.lngLat.lng, e.lngLat.lat], hit.plot));
    if (hit) return void s.openThing(String(hit.num));
    if (clickHooks.size) return clickHooks.forEach((f) => f([e.lngLat.lng, e.lngLat.lat], null));
    const box: [[number, number], [number, number]] = [[e.point.x - 4, e.point.y - 4], [e.point.x + 4, e.point.y + 4]];
    const feature = map.queryRenderedFeatures(box).filter((f) => f.id !== undefined && (f.layer.metadata as { pick?: boolean } | undefined)?.pick)
      .sort((a, b) => weight(a.geometry.type) - weight(b.geometry.type))[0];
    if (feature) void s.openThing(String(feature.id));
    else s.closeCard();
  });
  map.on("contextmenu", (e) => {
    e.preventDefault();
    s.menu.value = { x: e.point.x, y: e.point.y, at: [e.lngLat.lng, e.lngLat.lat] };
  });
  map.on("movestart", () => (s.menu.value = null));
  let wait = 0;
  map.on("mousemove", (e) => {
    if (performance.now() < wait || s.drawing.value) return;
    const began = performance.now();
    const hit = under(e);
    // Picking reads pixels back: on a slow machine look less often.
    wait = performance.now() + Math.max(50, (performance.now() - began) * 8);
    s.hovered.value = hit && "event" in hit ? hit.event.id : null;
    map.getCanvas().style.cursor = hit ? "pointer" : "";
  });
}

/** Tools that want to know where somebody clicked on nothing, or on a plot. */
export const clickHooks = new Set<(at: LonLat, plot: string | null) => void>();

const weight = (type: string) => (type === "Point" ? 0 : type.includes("Line") ? 1 : 2);
