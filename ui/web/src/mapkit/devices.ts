/** Devices as layers: coloured by a value with its declared limits, by how they stand, battery or alarm; and fields of a value. */
import { GeoJsonLayer, ScatterplotLayer, TextLayer } from "@deck.gl/layers";
import type { Layer } from "@deck.gl/core";
import { raw, rgba, severity, type Rgba, type Theme } from "./tokens";

type LonLat = [number, number];
interface Titled { zh: string; en: string }
export type DeviceState = "live" | "silent" | "never" | "revoked";
export type DeviceBy = "value" | "state" | "battery" | "alarm";
export const DEVICE_BY: DeviceBy[] = ["value", "state", "battery", "alarm"];
export const DEVICE_STATES: DeviceState[] = ["live", "silent", "never", "revoked"];
export const STATE_INK: Record<DeviceState, string> = { live: "good", silent: "major", never: "stale", revoked: "muted" };

export interface DevicePoint {
  num: number; product: string; device: string; name: string; lon: number; lat: number; state: DeviceState;
  battery_pct: number | null; value: number | null; at: string | null; level: number | null; alarm: number | null;
}
export interface DeviceLimit { word: "above" | "below" | "is"; limit: number; level: number; rule: string; title: Titled }
export interface DeviceMeta {
  name: string; title: Titled; unit: Titled | null; type: "number" | "integer" | "boolean" | "enum"; low: number | null; high: number | null;
  from: number; to: number; codes: Titled[]; limits: DeviceLimit[];
}
export interface DeviceAnswer { property: DeviceMeta | null; points: DevicePoint[]; at: string }
type FieldProps = { low: number; high: number } | { limit: number; level: number; title: Titled };
export interface DeviceField {
  type: "FeatureCollection"; levels: number[]; unit: Titled | null; values: number;
  features: GeoJSON.Feature<GeoJSON.MultiPolygon | GeoJSON.MultiLineString, FieldProps>[];
}

// From little to much in even steps of lightness, told apart by any eye (after viridis, less yellow on paper).
const RAMP: [number, number, number][] = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [240, 200, 40]];
export const RAMP_CSS = RAMP.map((c) => `rgb(${c.join(",")})`).join(",");
const FONT = "Noto Sans CJK SC, PingFang SC, sans-serif";
const LABELS_FROM = 14.3, LOUD_FROM = 11.5, MOST_LABELS = 260;
export const LOW_BATTERY = 20;

export function ramp(share: number, alpha = 235): Rgba {
  const at = Math.min(0.9999, Math.max(0, share)) * (RAMP.length - 1), i = Math.floor(at), f = at - i;
  const mix = (k: 0 | 1 | 2) => Math.round(RAMP[i]![k] + (RAMP[i + 1]![k] - RAMP[i]![k]) * f);
  return [mix(0), mix(1), mix(2), alpha];
}

/** How loud a device is as it is looked at: 1 to 4 is drawn as the mark of that severity, null as a dot. */
export function loudness(p: DevicePoint, by: DeviceBy): number | null {
  if (by === "value") return p.level;
  if (by === "alarm") return p.alarm;
  return by === "battery" && p.battery_pct !== null && p.battery_pct < LOW_BATTERY ? (p.battery_pct < LOW_BATTERY / 2 ? 2 : 3) : null;
}

/** Where a value with limits stands still in order: one quiet colour; without limits the ramp tells little from much. */
export function deviceInk(p: DevicePoint, by: DeviceBy, meta: DeviceMeta | null, theme: Theme): Rgba {
  const grey = rgba(theme, "stale", 120);
  if (by === "state") return rgba(theme, STATE_INK[p.state], p.state === "never" ? 130 : 235);
  if (by === "alarm") return rgba(theme, "stale", 130);
  if (by === "battery") return p.battery_pct === null ? grey : rgba(theme, "good", 110 + Math.round(1.25 * p.battery_pct));
  if (p.value === null || !meta) return grey;
  const alpha = p.state === "silent" ? 100 : 235;
  if (meta.limits.length) return rgba(theme, "good", Math.min(alpha, 70 + Math.round(165 * share(p.value, meta))));
  return ramp(share(p.value, meta), alpha);
}

const share = (value: number, meta: DeviceMeta): number => Math.min(1, Math.max(0, (value - meta.from) / (meta.to - meta.from)));

export interface DeviceLook { id: string; by: DeviceBy; theme: Theme; zoom: number; reads(p: DevicePoint): string }

/** The layers of the devices of one product: dots for what is in order, marks of severity for what is not, and what they read. */
export function deviceLayers(answer: DeviceAnswer, look: DeviceLook): Layer[] {
  const { id, by, theme, zoom } = look;
  const meta = answer.property;
  const loud = answer.points.filter((p) => loudness(p, by) !== null);
  const quiet = answer.points.filter((p) => loudness(p, by) === null);
  const scale = zoom < 11 ? 0.7 : zoom < 13 ? 0.85 : 1;
  const hollow = (p: DevicePoint) => p.state === "silent" || p.state === "never";
  const trigger = [by, theme, meta?.name, meta?.from, meta?.to];
  const named = zoom >= LABELS_FROM ? answer.points : zoom >= LOUD_FROM ? loud : [];
  return [
    new ScatterplotLayer<DevicePoint>({
      id: `${id}-dots`, data: quiet, pickable: true, getPosition: (p) => [p.lon, p.lat], radiusUnits: "pixels", getRadius: (p) => (by === "alarm" ? 3.5 : by === "state" && p.state === "silent" ? 7 : 5.5) * scale,
      stroked: true, lineWidthUnits: "pixels", getLineWidth: (p) => (hollow(p) && by !== "alarm" ? 2 : 1.25), getLineColor: (p) => (hollow(p) && by !== "alarm" ? rgba(theme, STATE_INK[p.state], 210) : rgba(theme, "halo")),
      getFillColor: (p) => (by === "state" && hollow(p) ? rgba(theme, "panel_solid", 200) : deviceInk(p, by, meta, theme)),
      updateTriggers: { getFillColor: trigger, getLineColor: trigger, getRadius: [by, scale], getLineWidth: by },
    }),
    new ScatterplotLayer<DevicePoint>({
      id: `${id}-loud-ground`, data: loud, pickable: true, getPosition: (p) => [p.lon, p.lat], radiusUnits: "pixels", getRadius: 11 * scale, stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5,
      getFillColor: rgba(theme, "panel_solid", 225), getLineColor: (p) => rgba(theme, severity(loudness(p, by)!).token), updateTriggers: { getLineColor: trigger, getRadius: scale },
    }),
    ...some(loud, (data) => new TextLayer<DevicePoint>({
      id: `${id}-loud`, data, getPosition: (p) => [p.lon, p.lat], getText: (p) => severity(loudness(p, by)!).glyph, getSize: 15 * scale, fontFamily: FONT, characterSet: Object.values(raw.severity).map((one) => one.glyph),
      getColor: (p) => rgba(theme, severity(loudness(p, by)!).token), updateTriggers: { getColor: trigger, getText: trigger, getSize: scale },
    })),
    ...some(by === "state" || named.length > MOST_LABELS ? [] : named, (data) => new TextLayer<DevicePoint>({
      id: `${id}-reads`, data, getPosition: (p) => [p.lon, p.lat], getText: look.reads, getSize: 12, fontFamily: FONT, fontWeight: 600, getPixelOffset: [0, -20],
      getColor: rgba(theme, "text"), background: true, getBackgroundColor: rgba(theme, "panel_solid", 215), backgroundPadding: [5, 2], characterSet: "auto", updateTriggers: { getText: trigger, getColor: theme },
    })),
  ];
}

/** A layer where there is something to show: one of texts without any draws its letters on nothing, and warns. */
const some = <T>(data: T[], make: (data: T[]) => Layer): Layer[] => (data.length ? [make(data)] : []);

/** The middle of the longest part of a line, where its label covers the least. */
function middleOf(parts: LonLat[][]): LonLat {
  const longest = parts.reduce((a, b) => (b.length > a.length ? b : a), parts[0]!);
  return longest[Math.floor(longest.length / 2)]!;
}

export interface FieldLook { id: string; theme: Theme; lines: boolean; text(value: number): string }

/** A field of a value: bands between isolines, or their heat; the lines of declared limits in the colour of their severity. */
export function fieldLayers(field: DeviceField, look: FieldLook): Layer[] {
  const { id, theme, lines } = look;
  const [low, high] = [field.levels[0]!, field.levels[field.levels.length - 1]!];
  const part = (value: number) => (value - low) / (high - low || 1);
  const bands = field.features.filter((f) => "low" in f.properties) as GeoJSON.Feature<GeoJSON.MultiPolygon, { low: number; high: number }>[];
  const limits = field.features.filter((f) => "limit" in f.properties) as GeoJSON.Feature<GeoJSON.MultiLineString, { limit: number; level: number }>[];
  const labels = [
    ...(lines ? bands.slice(1).map((f) => ({ at: middleOf(f.geometry.coordinates.map((p) => p[0] as LonLat[])), text: look.text(f.properties.low), ink: rgba(theme, "text") })) : []),
    ...limits.map((f) => ({ at: middleOf(f.geometry.coordinates as LonLat[][]), text: `${severity(f.properties.level).glyph} ${look.text(f.properties.limit)}`, ink: rgba(theme, severity(f.properties.level).token) })),
  ];
  return [
    new GeoJsonLayer<{ low: number; high: number }>({
      id: `${id}-bands`, data: bands as never, filled: true, stroked: lines, getFillColor: (f) => ramp(part((f.properties.low + f.properties.high) / 2), theme === "night" ? 92 : 104),
      getLineColor: (f) => ramp(part(f.properties.low), 190), lineWidthUnits: "pixels", getLineWidth: 1.25, updateTriggers: { getFillColor: [low, high, theme], getLineColor: [low, high] },
    }),
    new GeoJsonLayer<{ limit: number; level: number }>({ id: `${id}-limits`, data: limits as never, getLineColor: (f) => rgba(theme, severity(f.properties.level).token), lineWidthUnits: "pixels", getLineWidth: 2.5, updateTriggers: { getLineColor: theme } }),
    ...some(labels, (data) => new TextLayer<(typeof labels)[number]>({
      id: `${id}-labels`, data, getPosition: (d) => d.at, getText: (d) => d.text, getSize: 12, fontFamily: FONT, fontWeight: 600, getColor: (d) => d.ink, background: true,
      getBackgroundColor: rgba(theme, "panel_solid", 200), backgroundPadding: [4, 1], characterSet: "auto", updateTriggers: { getColor: theme },
    })),
  ];
}
