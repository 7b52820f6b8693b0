/** Which screen this is and what its address asks for; and the address of what is shown now. */
import { signal } from "@preact/signals";

export const SCREENS = ["main", "a", "b", "c"] as const;
export type ScreenName = (typeof SCREENS)[number];

const asked = new URLSearchParams(location.search);

const said = asked.get("screen");
export const screen: ScreenName = SCREENS.includes(said as ScreenName) ? (said as ScreenName) : "main";
/** Screens that name a room stay in step; a desk that names none stands alone. */
export const room: string | null = asked.get("room")?.slice(0, 40) || (said ? "hall" : null);
/** The main screen leads unless the address says otherwise; a pad leads when it is told to. */
export const leading = signal(asked.has("lead") ? asked.get("lead") !== "0" : screen === "main");
export const kiosk = asked.has("kiosk") && asked.get("kiosk") !== "0";
/** Seconds that a tour stays at each place; 0 is no tour. */
export const tourEvery_s = clamp(Number(asked.get("tour") ?? 0), 0, 3600);

function clamp(n: number, low: number, high: number): number {
  return Number.isFinite(n) ? Math.min(high, Math.max(low, n)) : low;
}

export interface Start { at: number | null; on: string[]; off: string[]; selected: [string, string] | null; topic: string; threeD: boolean; panel: string | null }

const words = (key: string) => (asked.get(key) ?? "").split(",").filter(Boolean).slice(0, 400);

/** What the address asks to show at the start. */
export function start(): Start {
  const at = asked.get("t") ? Date.parse(asked.get("t")!) : NaN;
  const [type, ...rest] = (asked.get("sel") ?? "").split(":");
  return {
    at: Number.isFinite(at) ? at : null, on: words("on"), off: words("off"), selected: rest.length ? [type!, rest.join(":")] : null,
    topic: asked.get("topic") ?? "", threeD: asked.get("3d") === "1", panel: asked.get("panel"),
  };
}

/** The address that opens the same place, layers and time; the camera is kept in the hash by the map. */
export function address(now: { at: number | null; on: string[]; off: string[]; selected: string | null; topic: string; threeD: boolean }): string {
  const q = new URLSearchParams();
  for (const key of ["screen", "room", "theme", "lang"]) if (asked.get(key)) q.set(key, asked.get(key)!);
  if (now.at !== null) q.set("t", new Date(now.at).toISOString());
  if (now.on.length) q.set("on", now.on.join(","));
  if (now.off.length) q.set("off", now.off.join(","));
  if (now.selected) q.set("sel", now.selected);
  if (now.topic) q.set("topic", now.topic);
  if (now.threeD) q.set("3d", "1");
  const query = q.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `${location.origin}/wall${query ? `?${query}` : ""}${location.hash}`;
}
