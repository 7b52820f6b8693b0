/** What the open event adds to the map: the ways of the crews in question, and events that may be the same. */
import { signal } from "@preact/signals";
import { rgba, ScatterplotLayer, TextLayer, type PathLayer as Path, type TwinMap } from "../../mapkit";
import { theme } from "../../common/theme";
import { drawOutline } from "../../common/outline";
import type { Crew, LonLat, Proposals } from "../../common/types";
import type { Duplicate } from "./types";

export const proposals = signal<{ event: string; data: Proposals; hot: string | null } | null>(null);
export const duplicates = signal<Duplicate[]>([]);
export const outline = signal<GeoJSON.Geometry | null>(null);
const FONT = "Noto Sans CJK SC, PingFang SC, sans-serif";

export function detailLayers(twin: TwinMap, PathLayer: typeof Path): void {
  const p = proposals.value, ink = rgba(theme.value, "selected");
  const list = p?.data.crews.filter((c) => c.route && c.route.length > 1) ?? [];
  const hot = p?.hot ?? list[0]?.code;
  const ordered = [...list].sort((a, b) => Number(a.code === hot) - Number(b.code === hot));
  const line = (id: string, width: number, of: (c: Crew) => number[]) => new PathLayer<Crew>({
    id, data: ordered, getPath: (c) => c.route as never, widthUnits: "pixels", getWidth: (c) => (c.code === hot ? width : width - 2), getColor: of as never, capRounded: true, jointRounded: true, updateTriggers: { getColor: [hot, theme.value], getWidth: hot },
  });
  twin.setGroup("routes", list.length ? [line("routes-casing", 7, () => rgba(theme.value, "halo", 220)), line("routes", 4, (c) => (c.code === hot ? ink : [...ink.slice(0, 3), 100]))] : []);
  const minutes = list.length ? [new TextLayer<Crew>({
    id: "minutes", data: list, getPosition: (c) => c.point, getText: (c) => `${Math.max(1, Math.round((c.travel_s ?? 0) / 60))}′`, getSize: 13, fontFamily: FONT, fontWeight: 700, getColor: rgba(theme.value, "on_accent"),
    background: true, getBackgroundColor: (c) => (c.code === hot ? ink : rgba(theme.value, "muted")), backgroundPadding: [5, 2], getPixelOffset: [0, -16], characterSet: "auto", updateTriggers: { getBackgroundColor: [hot, theme.value] },
  })] : [];
  const same = duplicates.value.length ? [new ScatterplotLayer<Duplicate>({
    id: "duplicates", data: duplicates.value, getPosition: (d) => [d.lon, d.lat] as LonLat, radiusUnits: "pixels", getRadius: 15, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgba(theme.value, "past"),
  })] : [];
  twin.setGroup("minutes", [...same, ...minutes]);
  drawOutline(twin, outline.value);
}
