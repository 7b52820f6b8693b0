/** Alarms as the wall knows them: cases that may speak of many devices, kept by code, told by the socket. */
import { computed, signal } from "@preact/signals";
import { get, post } from "../common/api";
import type { LonLat, Titled } from "../common/types";
import * as s from "./store";

export interface Alarm {
  code: string; title: string; category: string; category_title: Titled | null; severity: number; state: string; state_title: Titled;
  holder: string | null; holder_name: Titled | string | null; district: string | null; district_name: string | null; street_name: string | null; version: number;
  opened_at: string; closed_at: string | null; rule: string; rule_title: Titled | null; thing: string | null; thing_name: string | null;
  members: number; standing: number; value: number | null; unit: Titled | string | null; property: string | null; since: string | null;
  advice: Titled | null; event: string | null; point: LonLat | null; actions?: string[]; waits?: string[];
}
export interface Standing { num: number; point: LonLat; code: string; thing: string; name: string; level: number; severity: number; state: string; value: number | null; rule: string }
/** One card: an alarm, or many of one rule in one district that ring together. */
export interface AlarmCard { key: string; alarms: Alarm[]; severity: number; standing: number; members: number; ringing: number }

/** More than this of one rule in one district is a storm: one card. */
const STORM = 12;
export const MOST_CARDS = 200;

const known = new Map<string, Alarm>();
export const alarms = signal<Alarm[]>([]);
/** Every device that stands in alarm now, or stood at the moment shown. */
export const standing = signal<Standing[]>([]);
/** Alarms that have just begun to ring, with the moment: the map pulses them. */
export const ringing = signal<Map<string, number>>(new Map());
export const sound = signal(localStorage.getItem("alarm.sound") === "1");

const loud = (a: Alarm) => (a.state === "rung" ? 0 : a.state === "returned" ? 1 : 2);
const order = (a: Alarm, b: Alarm) => loud(a) - loud(b) || a.severity - b.severity || Date.parse(b.opened_at) - Date.parse(a.opened_at);

let planned = 0;
function publish(): void {
  planned ||= requestAnimationFrame(() => {
    planned = 0;
    alarms.value = [...known.values()].sort(order);
  });
}

/** At most so many cards, however many alarms; every alarm is in exactly one card. */
export const cards = computed<AlarmCard[]>(() => {
  const groups = new Map<string, Alarm[]>();
  for (const a of alarms.value) {
    const key = `${a.rule} ${a.district ?? ""}`;
    const list = groups.get(key);
    if (list) list.push(a);
    else groups.set(key, [a]);
  }
  const made: AlarmCard[] = [];
  const crowded = alarms.value.length > MOST_CARDS;
  for (const [key, list] of groups) {
    if (list.length > STORM || crowded) made.push(card(key, list));
    else for (const a of list) made.push(card(a.code, [a]));
  }
  made.sort((x, y) => Number(y.ringing > 0) - Number(x.ringing > 0) || x.severity - y.severity || order(x.alarms[0]!, y.alarms[0]!));
  if (made.length <= MOST_CARDS) return made;
  // Still too many rules and districts: what is quietest shares the last card.
  return [...made.slice(0, MOST_CARDS - 1), card("rest", made.slice(MOST_CARDS - 1).flatMap((c) => c.alarms))];
});

function card(key: string, list: Alarm[]): AlarmCard {
  return {
    key, alarms: list, severity: Math.min(...list.map((a) => a.severity)), ringing: list.filter((a) => a.state === "rung").length,
    standing: list.reduce((n, a) => n + (a.standing ?? 0), 0), members: list.reduce((n, a) => n + (a.members ?? 0), 0),
  };
}

interface Page { alarms: Alarm[]; total: number; next: string | null }

const may = () => s.session.value.acts.includes("alarm.read");

export async function loadAlarms(): Promise<void> {
  if (!may()) return;
  const at = s.moment.value;
  if (at === null) {
    const all: Alarm[] = [];
    let cursor: string | null = null;
    do {
      const page: Page = await get<Page>(`/api/v1/alarms?limit=1000${cursor ? `&cursor=${cursor}` : ""}`);
      all.push(...page.alarms);
      cursor = page.next;
    } while (cursor && all.length < 10_000);
    known.clear();
    for (const a of all) known.set(a.code, a);
    publish();
  }
  await loadStanding();
}

export async function loadStanding(): Promise<void> {
  if (!may()) return;
  const at = s.moment.value;
  const query = at === null ? "" : `?at=${encodeURIComponent(new Date(at).toISOString())}`;
  const got = await get<GeoJSON.FeatureCollection<GeoJSON.Point>>(`/api/v1/alarms.geojson${query}`);
  if (at !== s.moment.value) return;
  standing.value = got.features.map((f) => ({ ...(f.properties as Omit<Standing, "num" | "point">), num: Number(f.id), point: f.geometry.coordinates as LonLat }));
}

let due = 0;

/** What the socket said: newest version wins; the marks on the map follow a little later, once for many. */
export function takeAlarms(list: Alarm[]): void {
  let rang = 0;
  const fresh = new Map([...ringing.value].filter(([, t]) => performance.now() - t < 4000));
  for (const a of list) {
    const before = known.get(a.code);
    if (before && before.version >= a.version) continue;
    if (a.closed_at) known.delete(a.code);
    else known.set(a.code, a);
    if (!a.closed_at && a.state === "rung" && (!before || before.state !== "rung" || before.severity > a.severity)) {
      fresh.set(a.code, performance.now());
      rang = rang ? Math.min(rang, a.severity) : a.severity;
    }
  }
  if (rang) {
    ringing.value = fresh;
    if (sound.value && s.moment.value === null) chime(rang);
  }
  publish();
  due ||= window.setTimeout(() => {
    due = 0;
    if (s.moment.value === null) void loadStanding().catch(() => undefined);
  }, 800);
}

export function alarmByCode(code: string): Alarm | undefined {
  return known.get(code);
}

export function setSound(on: boolean): void {
  sound.value = on;
  localStorage.setItem("alarm.sound", on ? "1" : "0");
  if (on) chime(3);
}

let audio: AudioContext | null = null;
let quietUntil = 0;

/** Two short tones, higher and twice for the worst; never more than one call in two seconds, whatever rings. */
function chime(severity: number): void {
  const now = performance.now();
  if (now < quietUntil) return;
  quietUntil = now + 2000;
  audio ??= new AudioContext();
  const tones = severity === 1 ? [880, 660, 880, 660] : severity === 2 ? [740, 587] : [523];
  tones.forEach((hz, i) => {
    const [osc, gain, at] = [audio!.createOscillator(), audio!.createGain(), audio!.currentTime + i * 0.22];
    osc.frequency.value = hz;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.16, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
    osc.connect(gain).connect(audio!.destination);
    osc.start(at);
    osc.stop(at + 0.22);
  });
}

export async function act(code: string, action: string, params: Record<string, unknown> = {}): Promise<void> {
  const version = known.get(code)?.version;
  takeAlarms([await post<Alarm>(`/api/v1/alarms/${code}/actions/${action}`, { version, ...params })]);
}

/** Acknowledge all of a card, in batches that the door takes. */
export async function acknowledgeAll(codes: string[]): Promise<void> {
  for (let i = 0; i < codes.length; i += 500) await post("/api/v1/alarms/acknowledge", { codes: codes.slice(i, i + 500) });
}
