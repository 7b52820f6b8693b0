/** Fences on the map: a broad edge in the colour of their severity, filled while somebody is in breach. */
import { effect } from "@preact/signals";
import { PolygonLayer, rgba, severity, TextLayer, type TwinMap } from "../mapkit";
import { theme } from "../common/theme";
import type { LonLat } from "../common/types";
import { chosenFence, drawnFences, ringsOf, type Fence } from "./fencestore";
import * as s from "./store";

export const severityToken = (level: number): string => severity(level).token;

interface Area { fence: Fence; ring: LonLat[] }

/** Where a name stands: at the northern edge, where it covers nothing inside. */
function top(ring: LonLat[]): LonLat {
  const xs = ring.map((p) => p[0]);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, Math.max(...ring.map((p) => p[1]))];
}

export function startFences(twin: TwinMap): void {
  effect(() => {
    void s.moment.value;
    const areas: Area[] = drawnFences().flatMap((fence) => ringsOf(fence).map((ring) => ({ fence, ring })));
    const chosen = chosenFence.value;
    const ink = (f: Fence, alpha: number) => rgba(theme.value, f.enabled ? severityToken(f.level) : "stale", alpha);
    const trigger = [theme.value, chosen];
    twin.setGroup("fences", !areas.length ? [] : [
      new PolygonLayer<Area>({
        id: "fences", data: areas, pickable: true, getPolygon: (a) => a.ring, stroked: true, filled: true, lineWidthUnits: "pixels", lineJointRounded: true,
        getLineWidth: (a) => (a.fence.id === chosen ? 4 : 2.5), getLineColor: (a) => ink(a.fence, a.fence.enabled ? 230 : 140), getFillColor: (a) => ink(a.fence, a.fence.standing > 0 ? 70 : 16),
        updateTriggers: { getLineColor: trigger, getFillColor: trigger, getLineWidth: trigger },
      }),
      new PolygonLayer<Area>({
        // A second, faint edge outside the first: a fence is told from a plot without its colour.
        id: "fences-rail", data: areas, getPolygon: (a) => a.ring, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: 9, getLineColor: (a) => ink(a.fence, 50), lineJointRounded: true,
        updateTriggers: { getLineColor: trigger },
      }),
      new TextLayer<Area>({
        id: "fences-names", data: areas, getPosition: (a) => top(a.ring), getText: (a) => (a.fence.standing ? `${a.fence.title} · ${a.fence.standing}` : a.fence.title), getSize: 13, fontFamily: "Noto Sans CJK SC, PingFang SC, sans-serif",
        fontWeight: 600, getColor: (a) => ink(a.fence, 255), background: true, getBackgroundColor: rgba(theme.value, "panel_solid", 225), backgroundPadding: [6, 3], getPixelOffset: [0, -14], characterSet: "auto",
        updateTriggers: { getColor: trigger },
      }),
    ]);
  });
}
