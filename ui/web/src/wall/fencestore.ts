/** Fences (电子围栏): areas that moving things may not enter, leave or stay in; each is an alarm rule of its own. */
import { signal } from "@preact/signals";
import { get, post, send } from "../common/api";
import type { LonLat, Titled } from "../common/types";
import * as s from "./store";

export type Breach = "enter" | "leave" | "stay";
export const BREACHES: Breach[] = ["enter", "leave", "stay"];
export interface Hours { from: string; to: string; days: number[] }
/** What a person decides about a fence. */
export interface FenceAsk {
  title: string; geometry: GeoJSON.Polygon | GeoJSON.MultiPolygon; breach: Breach; minutes: number; kinds: string[]; codes: string[];
  among?: Record<string, string>; hours: Hours | null; level: number; enabled: boolean;
}
export interface Fence extends FenceAsk {
  id: string; version: number; district: string | null; by: string; by_name: Titled | string | null; at: string; may_change: boolean; standing: number; fault: string | null;
}
export interface FenceKind { kind: string; title: Titled }
export interface Breaching { code: string; name: string; kind: string; lon: number; lat: number }

export const fences = signal<Fence[]>([]);
export const fenceKinds = signal<FenceKind[]>([]);
export const mayFence = signal(false);
export const fencesShown = signal(true);
export const chosenFence = signal<string | null>(null);

const may = () => s.session.value.acts.includes("alarm.read");

export async function loadFences(): Promise<void> {
  if (!may()) return;
  const got = await get<{ fences: Fence[]; kinds: FenceKind[]; may_write: boolean }>("/api/v1/fences");
  fences.value = got.fences;
  fenceKinds.value = got.kinds;
  mayFence.value = got.may_write;
}

let due = 0;
/** Alarms have come or gone: how many stand in each fence is read anew, once in a while. */
export function refreshFences(): void {
  if (!fences.value.length) return;
  due ||= window.setTimeout(() => {
    due = 0;
    void loadFences().catch(() => undefined);
  }, 3000);
}

export async function saveFence(asked: FenceAsk, change?: Fence): Promise<void> {
  if (change) await send("PUT", `/api/v1/fences/${encodeURIComponent(change.id)}`, { ...asked, version: change.version });
  else await post("/api/v1/fences", asked);
  await loadFences();
}

export async function removeFence(id: string): Promise<void> {
  await send("DELETE", `/api/v1/fences/${encodeURIComponent(id)}`);
  if (chosenFence.value === id) chosenFence.value = null;
  await loadFences();
}

/** Which things would be in breach at this moment. */
export const tryFence = (asked: FenceAsk): Promise<{ inside: number; now: Breaching[] }> => post("/api/v1/fences/try", asked);

/** What is drawn: at a moment of the past only what then stood. */
export function drawnFences(): Fence[] {
  const at = s.moment.value;
  return fencesShown.value ? fences.value.filter((f) => at === null || Date.parse(f.at) <= at) : [];
}

export function ringsOf(f: { geometry: FenceAsk["geometry"] }): LonLat[][] {
  const g = f.geometry;
  return (g.type === "Polygon" ? [g.coordinates[0]!] : g.coordinates.map((one) => one[0]!)) as LonLat[][];
}
