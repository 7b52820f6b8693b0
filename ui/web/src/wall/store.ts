/** What the wall knows: one set of signals that the panels and the map both read. */
import { computed, effect, signal, untracked } from "@preact/signals";
import { Live, Movers, type Entry, type Frame, type LiveHooks, type Tick, decodeFrame } from "../mapkit";
import { get, Problem } from "../common/api";
import type { Bin, Card, Category, Config, Event, LayerTree, LonLat, Proposals, Session, Thing } from "../common/types";

export type Filter = "open" | "late" | "mine" | "closed";
export type Range = "1h" | "6h" | "24h" | "7d" | "30d";
export const RANGES: Record<Range, number> = { "1h": 3600e3, "6h": 6 * 3600e3, "24h": 24 * 3600e3, "7d": 7 * 86400e3, "30d": 30 * 86400e3 };
/** How events are gathered on the map; auto chooses by how many there are and how near one looks. */
export type Gathering = "auto" | "points" | "clusters" | "heat" | "hexagons";
export type PanelName = "layers" | "devices" | "topic" | "select" | "measure" | "plot" | "fences" | "cameras" | "compare" | "screens" | "scenes" | "plans" | "contacts";

export const config = signal<Config>(null as never);
export const session = signal<Session>(null as never);
export const tree = signal<LayerTree>({ groups: [] });
export const hidden = signal<Set<string>>(new Set());
/** How opaque a layer is, 0 to 1; what is not named is as the style says. */
export const opacity = signal<Map<string, number>>(new Map());
/** Which base map lies under everything: empty is our own. */
export const basemap = signal(localStorage.getItem("wall.basemap") ?? "");
/** How many times higher than it is the ground is shown in 3D. */
export const relief = signal(3);
export const gathering = signal<Gathering>("auto");
export interface Fresh { things: number; freshest: string; in_time: boolean | null }
export const freshness = signal<Record<string, Fresh>>({});
export const categories = signal<Category[]>([]);

export const live = signal({ open: false, heard: 0, skew_ms: 0, lag_ms: 0, seq: 0 });
/** Ticks every second; a panel that shows a span of time reads it. */
export const clock = signal(Date.now());
export const movers = new Movers();
export const names = signal<Map<number, { code: string; name: string; kind: string; type: string }>>(new Map());
export const moverCount = signal(0);

const eventMap = new Map<string, Event>();
export const events = signal<Event[]>([]);
export const closedEvents = signal<Event[]>([]);
export const filter = signal<Filter>("open");
export const viewOnly = signal(false);
export const view = signal<[number, number, number, number] | null>(null);
/** Events that have just come, by id: the map pulses them thrice. */
export const fresh = signal<Map<string, number>>(new Map());

export type Selected = { type: "event"; id: string } | { type: "thing"; key: string } | { type: "alarm"; id: string } | null;
export const selected = signal<Selected>(null);
export const hovered = signal<string | null>(null);
export const thing = signal<Thing | null>(null);
/** The outline of the open event, where a machine has seen one. */
export const outline = signal<GeoJSON.Geometry | null>(null);
export const proposals = signal<{ event: string; data: Proposals; hot: string | null } | null>(null);
export const reporting = signal<LonLat | null>(null);
export const menu = signal<{ x: number; y: number; at: LonLat } | null>(null);
/** Which tool's panel is open at the left. */
export const panel = signal<PanelName | null>(null);
export const topic = signal("");
/** Since when the network is lost; and what was caught up after it came back. */
export const lostSince = signal<number | null>(null);
export const caughtUp = signal<{ missed: number; away_s: number } | null>(null);
/** Whether a tool takes the clicks of the map. */
export const drawing = signal(false);
export const threeD = signal(false);
export const notice = signal<string | null>(null);

/** The moment shown: null is now. `settled` follows when the slider rests, for what is dear to fetch. */
export const moment = signal<number | null>(null);
export const settled = signal<number | null>(null);
export const range = signal<Range>("24h");
export const playing = signal(0);
export const cards = signal<{ at: string; cards: Card[] } | null>(null);
export const bins = signal<Bin[]>([]);

/** The server's clock. */
export const serverNow = (): number => Date.now() + live.value.skew_ms;
export const shownNow = (): number => moment.value ?? serverNow();

export const shown = computed<Event[]>(() => {
  const [w, s, e, n] = view.value ?? [-180, -90, 180, 90];
  const list = filter.value === "closed" ? closedEvents.value : events.value;
  return list.filter((ev) => {
    if (filter.value === "late" && !isLate(ev)) return false;
    if (filter.value === "mine" && !ev.actions?.length) return false;
    if (!viewOnly.value || !ev.point) return true;
    return ev.point[0] >= w && ev.point[0] <= e && ev.point[1] >= s && ev.point[1] <= n;
  });
});

export function isLate(ev: Event): boolean {
  return ev.stage < 6 && (ev.late || (ev.due_at !== null && Date.parse(ev.due_at) < shownNow()));
}

export function eventById(id: string): Event | undefined {
  return eventMap.get(id) ?? closedEvents.value.find((ev) => ev.id === id);
}

function order(a: Event, b: Event): number {
  return a.severity - b.severity || Number(isLate(b)) - Number(isLate(a)) || Date.parse(b.opened_at) - Date.parse(a.opened_at);
}

let planned = false;
/** Put the map of events into the sorted list once a frame, however many entries came. */
function publish(): void {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    events.value = [...eventMap.values()].sort(order);
  });
}

export function takeEvent(ev: Event, isNew = false): void {
  if (moment.value !== null) return;
  const kept = eventMap.get(ev.id) ?? closedEvents.value.find((other) => other.id === ev.id);
  if (kept && kept.version > ev.version) return;
  if (ev.stage >= 6) {
    eventMap.delete(ev.id);
    closedEvents.value = [ev, ...closedEvents.value.filter((other) => other.id !== ev.id)].slice(0, 500);
  } else {
    eventMap.set(ev.id, ev);
    if (isNew) fresh.value = new Map([...fresh.value].filter(([, t]) => performance.now() - t < 4000)).set(ev.id, performance.now());
  }
  publish();
}

interface Page { events: Event[]; total: number; next: string | null }

async function page(query: string): Promise<Event[]> {
  const all: Event[] = [];
  let next: string | null = `/api/v1/events?${query}&limit=500`;
  while (next && all.length < 5000) {
    const got: Page = await get<Page>(next);
    all.push(...got.events);
    next = got.next ? (got.next.startsWith("/") || got.next.startsWith("http") ? got.next : `/api/v1/events?${query}&limit=500&cursor=${encodeURIComponent(got.next)}`) : null;
  }
  return all;
}

export async function loadEvents(): Promise<void> {
  const at = moment.value === null ? "" : `&at=${encodeURIComponent(new Date(moment.value).toISOString())}`;
  const asked = moment.value;
  const [open, closed] = await Promise.all([page(`state=open${at}`), get<Page>(`/api/v1/events?state=closed&limit=100${at}`)]);
  if (asked !== moment.value) return;
  eventMap.clear();
  for (const ev of open) eventMap.set(ev.id, ev);
  closedEvents.value = closed.events;
  events.value = [...eventMap.values()].sort(order);
}

export async function loadCards(): Promise<void> {
  const at = moment.value === null ? "" : `?at=${encodeURIComponent(new Date(moment.value).toISOString())}`;
  cards.value = await get(`/api/v1/indicators${at}`);
}

/** Where the slider's window ends: now, or round a moment that lies before the window. */
export function windowEnd(): number {
  const now = serverNow();
  const span = RANGES[range.value];
  if (moment.value === null || moment.value > now - span) return now;
  return Math.min(now, Math.ceil((moment.value + span / 2) / (span / 4)) * (span / 4));
}

export async function loadBins(): Promise<void> {
  const to = windowEnd();
  const from = to - RANGES[range.value];
  const q = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), bins: "96" });
  bins.value = (await get<{ bins: Bin[] }>(`/api/v1/timeline?${q}`)).bins;
}

export async function loadNames(): Promise<void> {
  const got = await get<{ movers: { num: number; code: string; name: string; kind: string; type: string }[] }>("/api/v1/movers");
  names.value = new Map(got.movers.map((m) => [m.num, m]));
}

export async function frameAt(at: number | null): Promise<Frame> {
  const answer = await fetch(`/api/v1/positions${at === null ? "" : `?at=${encodeURIComponent(new Date(at).toISOString())}`}`);
  if (!answer.ok) throw new Problem(answer.status, "positions", answer.statusText);
  return decodeFrame(await answer.arrayBuffer());
}

/** Say on the screen what went wrong, for a while. */
let noticeTimer = 0;
export function tell(text: string): void {
  notice.value = text;
  clearTimeout(noticeTimer);
  noticeTimer = window.setTimeout(() => (notice.value = null), 6000);
}

export const onFrame = new Set<() => void>();
/** What other parts of the wall do when the socket speaks: rooms, alarms, plots. */
export const listeners: LiveHooks[] = [];
export let live_socket: Live | null = null;
let cardsDue = 0;
let caughtTimer = 0;

/** What the wall has cost and taken since it was opened: for figures, and for whoever wonders why a screen is slow. */
export const spent = { movers_ms: 0, frames: 0, drawings: 0, entries: 0 };

function heard(entry: Entry): void {
  spent.entries += 1;
  if (entry.event) takeEvent(entry.event as Event, entry.class === "case" && /^(open|create|report|insert|start|collect)/.test(entry.action));
  if (entry.class === "case" && moment.value === null) refreshSoon();
  if (entry.thing && selected.value?.type === "thing" && thing.value?.num === entry.thing.num) void openThing(String(entry.thing.num));
}

function refreshSoon(): void {
  clearTimeout(cardsDue);
  cardsDue = window.setTimeout(() => void loadCards().then(loadBins).catch(() => undefined), 400);
}

function ticked(tick: Tick): void {
  live.value = { ...live.value, open: true, heard: Date.now(), skew_ms: Date.parse(tick.time) - Date.now(), seq: tick.seq };
}

function opened(open: boolean): void {
  live.value = { ...live.value, open };
  if (!open) lostSince.value ??= Date.now();
}

/** Back after a loss: the socket repeats entries by itself, the rest is read anew; say how much was missed. */
function hello(missed: number, again: boolean): void {
  const since = lostSince.value;
  lostSince.value = null;
  if (!again) return;
  caughtUp.value = { missed, away_s: since === null ? 0 : (Date.now() - since) / 1000 };
  clearTimeout(caughtTimer);
  caughtTimer = window.setTimeout(() => (caughtUp.value = null), 8000);
  refreshSoon();
}

export function goLive(): void {
  const each = <K extends keyof LiveHooks>(name: K, ...args: Parameters<NonNullable<LiveHooks[K]>>) => {
    for (const one of listeners) (one[name] as ((...a: unknown[]) => void) | undefined)?.(...args);
  };
  live_socket = new Live({
    entry: (entry) => { heard(entry); each("entry", entry); },
    tick: ticked,
    frame: (frame, took_ms) => {
      live.value = { ...live.value, heard: Date.now(), lag_ms: Date.now() + live.value.skew_ms - frame.t_ms };
      if (moment.value !== null) return;
      const began = performance.now();
      movers.apply(frame, began, movers.size === 0);
      spent.frames += 1;
      spent.movers_ms += performance.now() - began + took_ms;
      moverCount.value = movers.size;
      onFrame.forEach((f) => f());
    },
    state: (open) => { opened(open); each("state", open); },
    hello: (missed, again) => { hello(missed, again); each("hello", missed, again); },
    reload: () => { if (moment.value === null) void loadEvents().catch(() => undefined); refreshSoon(); each("reload"); },
    alarms: (list) => each("alarms", list),
    wall: (state, from) => each("wall", state, from),
    room: (screens) => each("room", screens),
  });
  setInterval(() => (clock.value = Date.now()), 1000);
  setInterval(() => {
    if (moment.value === null && document.visibilityState === "visible") void loadCards().then(loadBins).catch(() => undefined);
  }, 15_000);
}

export async function openThing(key: string): Promise<void> {
  selected.value = { type: "thing", key };
  if (thing.value && String(thing.value.num) !== key && thing.value.code !== key) thing.value = null;
  try {
    const at = moment.value === null ? "" : `?at=${encodeURIComponent(new Date(moment.value).toISOString())}`;
    const got = await get<Thing>(`/api/v1/things/${encodeURIComponent(key)}${at}`);
    if (selected.value?.type === "thing" && selected.value.key === key) thing.value = got;
  } catch (why) {
    tell((why as Error).message);
    selected.value = null;
  }
}

export function openEvent(id: string): void {
  selected.value = { type: "event", id };
  thing.value = null;
  reporting.value = null;
}

export function openAlarm(id: string): void {
  selected.value = { type: "alarm", id };
  thing.value = null;
  reporting.value = null;
}

export function closeCard(): void {
  selected.value = null;
  thing.value = null;
  proposals.value = null;
  reporting.value = null;
}

let settle = 0;
let inFlight = false;
let resting = false;
let wantedAgain = false;

/** Show a moment; while the slider moves only positions and events follow, the rest when it stops. */
export function showMoment(at: number | null): void {
  moment.value = at;
  clearTimeout(settle);
  settle = window.setTimeout(rest, at === null ? 0 : 350);
  void follow();
}

/** The slider rests: what is dear is asked for once the map has its moment, not beside it. */
function rest(): void {
  if (inFlight) resting = true;
  else settled.value = moment.value;
}

async function follow(): Promise<void> {
  if (inFlight) {
    wantedAgain = true;
    return;
  }
  inFlight = true;
  try {
    do {
      wantedAgain = false;
      const at = moment.value;
      // Asked for together: the server reads them side by side.
      const events = loadEvents();
      events.catch(() => undefined); // its failure is told below, unless the positions failed first
      const frame = await frameAt(at);
      if (at !== moment.value) {
        wantedAgain = true;
        continue;
      }
      if (!playing.value || at === null) movers.clear();
      movers.apply(frame, performance.now(), !playing.value);
      moverCount.value = movers.size;
      onFrame.forEach((f) => f());
      await events;
    } while (wantedAgain);
    if (moment.value !== null) performance.mark("wall.moment");
  } catch (why) {
    tell((why as Error).message);
  } finally {
    inFlight = false;
    if (resting) {
      resting = false;
      settled.value = moment.value;
    }
  }
}

effect(() => {
  void settled.value;
  if (!config.value) return;
  // What is dear waits until the slider rests: it must not run whenever the moment moves.
  untracked(() => {
    void loadCards().then(loadBins).catch(() => undefined);
    const open = selected.value;
    if (open?.type === "thing") void openThing(open.key);
  });
});
