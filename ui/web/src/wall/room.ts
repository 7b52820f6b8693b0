/** Screens in step: the one that leads says where it looks, the others of its room follow. */
import { effect, signal } from "@preact/signals";
import type { Standing, WallState } from "../mapkit";
import { theme, setTheme } from "../common/theme";
import { camera, onCamera, setCamera } from "./mapview";
import { leading, room, screen } from "./place";
import * as s from "./store";

export const standing = signal<Standing[]>([]);
/** True while what another screen said is being applied: it must not be said again. */
let following = false;
let said: WallState = {};
let timer = 0;

/** What this screen shows, as it is told to the others. */
function shown(): WallState {
  const sel = s.selected.value;
  const key = sel?.type === "thing" ? sel.key : sel?.id;
  return {
    camera: camera(), moment: s.moment.value === null ? null : new Date(s.moment.value).toISOString(),
    selected: sel && key ? { type: sel.type, key } : null, hidden: [...s.hidden.value].slice(0, 400), topic: s.topic.value || null, three_d: s.threeD.value, theme: theme.value,
  };
}

/** Tell what has changed since the last telling; a moving camera is told ten times a second at most. */
function tell(): void {
  timer = 0;
  if (!room || !leading.value) return;
  const now = shown();
  const changed = Object.fromEntries(Object.entries(now).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(said[key])));
  said = now;
  if (Object.keys(changed).length) s.live_socket?.say({ wall: { room, screen, lead: true, state: changed } });
}

function soon(): void {
  if (!following && room && leading.value) timer ||= window.setTimeout(tell, 100);
}

function join(): void {
  if (!room) return;
  said = {};
  s.live_socket?.say({ wall: { room, screen, lead: leading.value, ...(leading.value ? { state: shown() } : {}) } });
}

export function lead(on: boolean): void {
  leading.value = on;
  join();
}

function follow(state: WallState): void {
  if (leading.value) return;
  following = true;
  try {
    if (state.camera) setCamera(state.camera as ReturnType<typeof camera>);
    if ("moment" in state) {
      const at = state.moment ? Date.parse(state.moment as string) : null;
      if (at !== s.moment.value) s.showMoment(at);
    }
    if ("selected" in state) select(state.selected as { type: string; key: string } | null);
    if (state.hidden) s.hidden.value = new Set(state.hidden as string[]);
    if ("topic" in state) s.topic.value = (state.topic as string | null) ?? "";
    if (typeof state.three_d === "boolean") s.threeD.value = state.three_d;
    if (state.theme) setTheme(state.theme as "night" | "day", "wall", false);
  } finally {
    following = false;
  }
}

function select(chosen: { type: string; key: string } | null): void {
  if (!chosen) s.closeCard();
  else if (chosen.type === "event") s.openEvent(chosen.key);
  else if (chosen.type === "alarm") s.openAlarm(chosen.key);
  else void s.openThing(chosen.key);
}

export function startRoom(): void {
  if (!room) return;
  s.listeners.push({ hello: join, wall: follow, room: (screens) => {
    standing.value = screens;
    // Another screen has taken the lead: this one follows from now on.
    if (leading.value && screens.some((one) => one.lead && one.screen !== screen)) leading.value = false;
  } });
  onCamera(soon);
  effect(() => {
    void [s.moment.value, s.selected.value, s.hidden.value, s.topic.value, s.threeD.value, theme.value];
    soon();
  });
}
