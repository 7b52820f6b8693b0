/** Events on the map: marks, clusters, heat or hexagons, and the pulse of what has just come. */
import {
  calm, clusters, hexagons, PolygonLayer, pydeckLayers, rgba, ScatterplotLayer, severity, TextLayer,
  type Cluster, type DeckJson, type Hexagon, type TwinMap,
} from "../mapkit";
import type { Layer } from "@deck.gl/core";
import type { GeoJSONSource } from "maplibre-gl";
import { theme } from "../common/theme";
import type { Event, LonLat } from "../common/types";
import { alarmByCode, ringing } from "./alarmstore";
import { theAtlas } from "./mapview";
import * as s from "./store";

let twin: TwinMap;
let json: DeckJson;
let drawn: Event[] = [];
const FONT = "Noto Sans CJK SC, PingFang SC, sans-serif";

export function startEvents(map: TwinMap, eventJson: DeckJson): void {
  twin = map;
  json = eventJson;
}

export const drawnEvents = (): Event[] => drawn;

const phase = (ev: Event) => (ev.stage >= 6 ? "closed" : ev.stage === 5 ? "verify" : ev.stage >= 3 ? "hand" : "new");
const level = (n: number) => Math.min(4, Math.max(1, n));

/** Far away and many: hexagons; near, or few: each by itself. */
function form(count: number, zoom: number): Exclude<s.Gathering, "auto"> {
  if (s.gathering.value !== "auto") return s.gathering.value;
  return count > 1500 && zoom < 11 ? "hexagons" : count > 500 && zoom < 12.5 ? "clusters" : "points";
}

export function drawEvents(): void {
  if (!twin) return;
  const list = s.filter.value === "closed" ? s.closedEvents.value : s.events.value;
  drawn = s.hidden.value.has("events") ? [] : list.filter((ev) => ev.point).sort((a, b) => b.severity - a.severity);
  const zoom = twin.map.getZoom();
  const how = form(drawn.length, zoom);
  heat(how === "heat" ? drawn : []);
  const layers: Layer[] = [];
  if (how === "hexagons") layers.push(...hexagonLayers(zoom));
  // A city full of twos says nothing: the more there are, the wider a group reaches.
  const groups = how === "clusters" ? clusters(drawn, (e) => e.point, (e) => e.severity, zoom, drawn.length > 400 ? 84 : 56) : null;
  if (groups) layers.push(...groupLayers("event-groups", groups.filter((g) => g.items.length > 1)));
  const single = how === "points" ? drawn : groups ? groups.filter((g) => g.items.length === 1).map((g) => g.items[0]!) : [];
  layers.push(...marks(single, zoom));
  twin.setGroup("events", layers);
}

function marks(list: Event[], zoom: number): Layer[] {
  // A thousand marks of one size are noise: the lighter an event and the fuller the city, the smaller its mark.
  const crowd = list.length > 400 && zoom < 13;
  const weightOf = (ev: Event) => (crowd ? [0.9, 0.75, 0.45, 0.35] : [1.08, 1, 0.88, 0.74])[level(ev.severity) - 1]!;
  const size = zoom < 10 ? 15 : zoom < 12 ? 21 : zoom < 14 ? 27 : 34;
  const atlas = theAtlas();
  return pydeckLayers(json, {
    events: {
      data: list, iconAtlas: atlas.atlas, iconMapping: atlas.mapping, getSize: (ev: Event) => size * weightOf(ev), visible: true,
      getPosition: (ev: Event) => ev.point, updateTriggers: { getIcon: [theme.value, s.clock.peek() >> 14], getSize: [size, crowd] },
      getIcon: (ev: Event) => `e${level(ev.severity)}-${phase(ev)}${s.isLate(ev) ? "-late" : ""}`,
    },
  });
}

/** Circles with their number; the rim tells the worst inside. */
export function groupLayers(id: string, groups: Cluster<unknown>[]): Layer[] {
  const radius = (g: Cluster<unknown>) => 11 + 9 * Math.log10(g.items.length);
  const rim = (g: Cluster<unknown>) => rgba(theme.value, severity(g.worst).token);
  return [
    new ScatterplotLayer({
      id, data: groups, pickable: true, getPosition: (g) => g.point, radiusUnits: "pixels", getRadius: radius, stroked: true, filled: true, lineWidthUnits: "pixels",
      getLineWidth: 3, getLineColor: rim, getFillColor: rgba(theme.value, "panel_solid", 235), updateTriggers: { getLineColor: theme.value },
    }),
    ...numbers(groups.length, () => new TextLayer({
      id: `${id}-count`, data: groups, getPosition: (g) => g.point, getText: (g) => short(g.items.length), getSize: 13, fontWeight: 600, fontFamily: FONT,
      getColor: rgba(theme.value, "text"), characterSet: "0123456789.k",
    })),
  ];
}

/** Text is drawn where there is some: the atlas of an empty one is a canvas of no size, which WebGL complains about. */
const numbers = (count: number, make: () => Layer): Layer[] => (count ? [make()] : []);

const short = (n: number) => (n < 1000 ? String(n) : `${(n / 1000).toFixed(1)}k`);

function hexagonLayers(zoom: number): Layer[] {
  const cells = hexagons(drawn, (e) => e.point, zoom);
  const several = cells.filter((c) => c.items.length > 1);
  const top = Math.max(1, ...cells.map((c) => c.items.length));
  const ink = (c: Hexagon<Event>) => {
    const k = Math.sqrt(c.items.length / top);
    return [...rgba(theme.value, k > 0.75 ? "critical" : k > 0.45 ? "major" : "minor").slice(0, 3), Math.round(70 + 150 * k)] as [number, number, number, number];
  };
  return [
    new PolygonLayer<Hexagon<Event>>({
      id: "event-hexagons", data: cells, pickable: true, getPolygon: (c) => c.ring, filled: true, stroked: false, extruded: s.threeD.value,
      getElevation: (c) => (c.items.length / top) * 6000, getFillColor: ink, updateTriggers: { getFillColor: [theme.value, top], getElevation: top },
    }),
    ...numbers(several.length, () => new TextLayer<Hexagon<Event>>({
      id: "event-hexagons-count", data: several, getPosition: (c) => c.center, getText: (c) => short(c.items.length), getSize: 12, fontWeight: 600,
      fontFamily: FONT, getColor: rgba(theme.value, "text"), characterSet: "0123456789.k", visible: !s.threeD.value,
    })),
  ];
}

/** Heat is MapLibre's own: it costs one small source, and only while it is shown. */
function heat(list: Event[]): void {
  const map = twin.map;
  if (!map.getStyle()) return;
  const data: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: list.map((ev) => ({ type: "Feature", geometry: { type: "Point", coordinates: ev.point! }, properties: { w: 5 - level(ev.severity) } })) };
  const source = map.getSource("event-heat") as GeoJSONSource | undefined;
  if (source) source.setData(data);
  else if (list.length) {
    map.addSource("event-heat", { type: "geojson", data });
    const stop = (token: string, alpha: number) => { const [r, g, b] = rgba(theme.value, token); return `rgba(${r},${g},${b},${alpha})`; };
    map.addLayer({
      id: "event-heat", type: "heatmap", source: "event-heat",
      paint: {
        "heatmap-weight": ["/", ["get", "w"], 4], "heatmap-intensity": ["interpolate", ["linear"], ["zoom"], 8, 0.7, 14, 2],
        "heatmap-radius": ["interpolate", ["linear"], ["zoom"], 8, 14, 12, 34, 16, 70], "heatmap-opacity": 0.8,
        "heatmap-color": ["interpolate", ["linear"], ["heatmap-density"], 0, "rgba(0,0,0,0)", 0.15, stop("info", 0.35), 0.4, stop("minor", 0.6), 0.7, stop("major", 0.8), 1, stop("critical", 0.9)],
      },
    });
  }
}

/** A new event or a ringing alarm pulses thrice and then stays. */
let pulsing = 0;
export function pulse(): void {
  if (calm() || pulsing) return;
  const step = (now: number) => {
    const young: { point: LonLat; severity: number; id: string; k: number }[] = [];
    const add = (id: string, since: number, point: LonLat | null | undefined, worst: number) => {
      if (point && now - since < 2700) young.push({ id, point, severity: worst, k: ((now - since) % 900) / 900 });
    };
    for (const [id, since] of s.fresh.value) { const ev = s.eventById(id); if (ev) add(id, since, ev.point, ev.severity); }
    for (const [code, since] of ringing.value) { const a = alarmByCode(code); if (a && young.length < 200) add(code, since, a.point, a.severity); }
    twin.setGroup("pulse", young.length ? [new ScatterplotLayer({
      id: "pulse", data: young, getPosition: (d) => d.point, radiusUnits: "pixels", getRadius: (d) => 14 + 46 * d.k, stroked: true, filled: false,
      lineWidthUnits: "pixels", getLineWidth: 2.5, getLineColor: (d) => rgba(theme.value, severity(d.severity).token, Math.round(255 * (1 - d.k))), updateTriggers: { getRadius: now, getLineColor: now },
    })] : []);
    pulsing = young.length ? requestAnimationFrame(step) : 0;
  };
  pulsing = requestAnimationFrame(step);
}

