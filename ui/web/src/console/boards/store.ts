/** What the composer of boards holds: the boards, the draft, what checking says, the figures of the preview. */
import { computed, signal } from "@preact/signals";
import { get, post } from "../../common/api";
import { PARTS, readBoard, readIndicators, type Board, type CardSaid, type Indicator, type IndicatorBoard, type Layout, type Part } from "../../common/board";
import { t } from "../../common/i18n";
import * as s from "../state";

export interface Version { version: number; at: string; by: string; note: string | null }
interface One { document: Layout; version: number; versions: Version[] }
interface Listed { kind: string; key: string; version: number; title: { zh: string; en: string } }
export interface Fault { path: (string | number)[]; why: string }

export const TOPICS = ["all", "greening", "forestry", "sanitation", "appearance", "landscape", "activity"] as const;
export const list = signal<Listed[]>([]);
export const versions = signal<Version[]>([]);
export const published = signal<Layout | null>(null);
export const draft = signal<Layout | null>(null);
export const faults = signal<{ faults: Fault[]; warnings: Fault[] }>({ faults: [], warnings: [] });
export const known = signal<Indicator[]>([]);
export const board = signal<Board | null>(null);
export const figures = signal<IndicatorBoard | null>(null);
/** Which card is shown on the map. */
export const shown = signal<string | null>(null);
export const changed = computed(() => JSON.stringify(draft.value) !== JSON.stringify(published.value));
export const mayWrite = (): boolean => s.session.value.acts.includes("policy.write");
const failed = (why: Error) => s.tell(why.message, true);

export async function loadList(): Promise<void> {
  const all = await get<Listed[]>("/api/v1/policies");
  const of = (key: string) => { const i = TOPICS.indexOf(key as never); return i < 0 ? TOPICS.length : i; };
  list.value = all.filter((one) => one.kind === "board").sort((a, b) => of(a.key) - of(b.key) || a.key.localeCompare(b.key));
}

export async function loadKnown(): Promise<void> {
  known.value = (await get<IndicatorBoard>("/api/v1/indicators/board")).indicators;
}

export async function open(key: string, version?: number): Promise<void> {
  const got = await get<One>(`/api/v1/policies/board/${encodeURIComponent(key)}${version ? `?version=${version}` : ""}`);
  if (!version) published.value = got.document;
  versions.value = got.versions;
  take(structuredClone(got.document));
}

export function start(): void {
  published.value = null;
  versions.value = [];
  take({ key: `own_${Date.now().toString(36)}`, title: { zh: t("boards.own"), en: "Own board" }, topic: "all", icon: "star", cards: [], parts: ["cards", "days", "districts"] });
}

let timer = 0;
/** Take a draft: the preview follows at once, the check a little later. */
export function take(next: Layout): void {
  const before = draft.value;
  draft.value = next;
  const names = (l: Layout | null) => l && [l.key, l.topic, ...l.cards.map((c) => c.indicator)].join();
  if (names(before) !== names(next)) preview().catch(failed);
  if (!next.cards.some((c) => c.indicator === shown.value)) shown.value = next.cards[0]?.indicator ?? null;
  clearTimeout(timer);
  timer = window.setTimeout(() => void check().catch(failed), 400);
}

export const put = (part: Partial<Layout>): void => take({ ...draft.value!, ...part });

async function preview(): Promise<void> {
  const of = draft.value!;
  const still = () => draft.value?.key === of.key;
  const [b, i] = await Promise.all([board.value?.topic === of.topic ? board.value : readBoard(of.topic, null), readIndicators(of, null)]);
  if (!still()) return;
  board.value = b;
  figures.value = i;
}

async function check(): Promise<void> {
  const of = draft.value;
  if (!of || !mayWrite()) return;
  const said = await post<{ faults: Fault[]; warnings: Fault[] }>(`/api/v1/policies/board/${of.key}/check`, { document: of });
  if (draft.value === of) faults.value = said;
}

export async function publish(note: string): Promise<boolean> {
  const of = draft.value!;
  try {
    const done = await post<{ version: number; changed: boolean }>(`/api/v1/policies/board/${of.key}/publish`, { document: of, note });
    s.tell(t(done.changed ? "pol.published" : "pol.same", { v: done.version }));
    await Promise.all([loadList(), open(of.key)]);
    return true;
  } catch (why) {
    failed(why as Error);
    return false;
  }
}

/** Move one of a list up or down. */
export function moved<T>(of: T[], from: number, to: number): T[] {
  const next = [...of];
  next.splice(Math.min(of.length - 1, Math.max(0, to)), 0, ...next.splice(from, 1));
  return next;
}

export function addCard(one: Indicator): void {
  const card: CardSaid = { indicator: one.key, look: one.trend.length > 1 ? "trend" : "number", thresholds: one.target !== null };
  put({ cards: [...draft.value!.cards, card], parts: draft.value!.parts.includes("cards") ? draft.value!.parts : ["cards", ...draft.value!.parts] });
  shown.value = one.key;
}

export function turnPart(part: Part): void {
  const { parts } = draft.value!;
  put({ parts: parts.includes(part) ? parts.filter((one) => one !== part) : [...parts, part].sort((a, b) => PARTS.indexOf(a) - PARTS.indexOf(b)) });
}
