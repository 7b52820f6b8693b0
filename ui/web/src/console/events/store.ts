/** What the events page knows: filters, rows, what is picked, what is open; list and map read the same. */
import { computed, effect, signal } from "@preact/signals";
import { get, post, Problem } from "../../common/api";
import { t } from "../../common/i18n";
import type { Category } from "../../common/types";
import * as s from "../state";
import type { ColumnKey, Filters, Outcome, Page, Row, SavedView, Sort, ViewDoc } from "./types";

export const COLUMNS: ColumnKey[] = ["severity", "what", "place", "state", "holder", "due", "opened", "source", "tags", "code", "category", "reporter", "entered", "reworks"];
export const USUAL: ColumnKey[] = ["severity", "what", "place", "state", "holder", "due", "opened", "tags"];
export const NONE: Filters = { state: "open", stage: "", severity: "", category: "", source: "", district: "", department: "", tag: "", text: "", late: false, opened_from: "", opened_to: "", inView: false };
const LIMIT = 200;
const EVERY_MS = 5000;

export const filters = signal<Filters>(NONE);
export const columns = signal<ColumnKey[]>(USUAL);
export const sort = signal<Sort>("severity");
export const rows = signal<Row[]>([]);
export const total = signal(0);
export const next = signal<string | null>(null);
export const loading = signal(false);
export const why = signal("");
export const picked = signal<Set<string>>(new Set());
export const open = signal<string | null>(null);
export const hot = signal<string | null>(null);
export const box = signal<[number, number, number, number] | null>(null);
export const views = signal<SavedView[]>([]);
export const shownView = signal<number | null>(null);
export const tags = signal<{ tag: string; count: number }[]>([]);
export const categories = signal<Category[]>([]);
export const outcome = signal<{ title: string; of: Outcome } | null>(null);

/** The open event where the list does not hold it: opened by its address, or filtered away. */
const beside = signal<Row | null>(null);
export const opened = computed(() => rows.value.find((r) => r.code === open.value) ?? (beside.value?.code === open.value ? beside.value : null));
export const pickedRows = computed(() => rows.value.filter((r) => picked.value.has(r.code)));

export function query(): URLSearchParams {
  const f = filters.value;
  const q = new URLSearchParams({ state: f.state, limit: String(LIMIT), sort: sort.value });
  for (const key of ["stage", "severity", "category", "source", "district", "department", "tag", "text"] as const) if (f[key]) q.set(key, f[key]);
  if (f.late) q.set("late", "true");
  if (f.opened_from) q.set("opened_from", `${f.opened_from}T00:00:00+08:00`);
  if (f.opened_to) q.set("opened_to", `${f.opened_to}T23:59:59+08:00`);
  if (f.inView && box.value) q.set("bbox", box.value.map((v) => v.toFixed(5)).join(","));
  return q;
}

let asked = 0;
export async function load(): Promise<void> {
  const mine = ++asked;
  loading.value = true;
  try {
    const got = await get<Page>(`/api/v1/events?${query()}`);
    if (mine !== asked) return;
    rows.value = got.events;
    total.value = got.total;
    next.value = got.next;
    why.value = "";
    if (picked.value.size) picked.value = new Set([...picked.value].filter((c) => got.events.some((r) => r.code === c)));
  } catch (e) { if (mine === asked) why.value = (e as Error).message; }
  if (mine === asked) loading.value = false;
}

export async function more(): Promise<void> {
  if (!next.value) return;
  const got = await get<Page>(`/api/v1/events?${query()}&cursor=${encodeURIComponent(next.value)}`).catch((e: Error) => { s.tell(e.message, true); return null; });
  if (!got) return;
  rows.value = [...rows.value, ...got.events.filter((r) => !rows.value.some((old) => old.id === r.id))];
  next.value = got.next;
}

/** Follow the city while the page is looked at; a list that was continued is not cut short again. */
export function follow(): () => void {
  const fetchOpen = effect(() => {
    const code = open.value;
    if (code && !rows.peek().some((r) => r.code === code)) get<Row>(`/api/v1/events/${encodeURIComponent(code)}`).then((got) => (beside.value = got), (e: Error) => s.tell(e.message, true));
  });
  const stop = effect(() => { void [filters.value, sort.value, filters.value.inView ? box.value : null]; void load(); });
  const timer = setInterval(() => { if (!document.hidden && rows.value.length <= LIMIT && !picked.value.size) void load(); }, EVERY_MS);
  void loadViews();
  void loadTags();
  if (!categories.value.length) get<Category[]>("/api/v1/categories").then((c) => (categories.value = c), () => undefined);
  return () => { stop(); fetchOpen(); clearInterval(timer); };
}

export const loadViews = async (): Promise<void> => { views.value = await get<SavedView[]>("/api/v1/views?page=events").catch(() => []); };
export const loadTags = async (): Promise<void> => { tags.value = await get<{ tag: string; count: number }[]>("/api/v1/events/tags").catch(() => []); };

export function set(part: Partial<Filters>): void {
  filters.value = { ...filters.value, ...part };
  shownView.value = null;
}

/** Open the list with these filters alone: how a number elsewhere opens what it counts. */
export function openWith(part: Partial<Filters>): void {
  filters.value = { ...NONE, state: "all", ...part };
  shownView.value = null;
  open.value = null;
  picked.value = new Set();
  s.go("events");
}

export function showView(view: SavedView | { id: number; doc: ViewDoc }): void {
  shownView.value = view.id;
  columns.value = view.doc.columns?.length ? view.doc.columns : USUAL;
  sort.value = view.doc.sort ?? "severity";
  filters.value = { ...NONE, ...view.doc.filters };
  picked.value = new Set();
}

export function pick(code: string, on?: boolean): void {
  const now = new Set(picked.value);
  if (on ?? !now.has(code)) now.add(code); else now.delete(code);
  picked.value = now;
}

function take(ev: Row): void {
  if (beside.value?.id === ev.id) beside.value = ev;
  rows.value = rows.value.map((r) => (r.id === ev.id ? ev : r));
}

/** One action on one event; a conflict shows what it has become. */
export async function act(ev: Row, action: string, params: Record<string, unknown>): Promise<boolean> {
  try {
    take(await post<Row>(`/api/v1/events/${ev.id}/actions/${action}`, { version: ev.version, ...params }));
    void load();
    return true;
  } catch (e) {
    const conflict = e instanceof Problem && e.status === 409;
    s.tell(conflict ? t("action.conflict") : t("action.failed", { why: (e as Error).message }), true);
    if (conflict) take(await get<Row>(`/api/v1/events/${ev.id}`));
    return false;
  }
}

/** One action on all picked events; who was refused stays picked, with the reason shown. */
export async function actMany(action: string, title: string, params: Record<string, unknown>): Promise<boolean> {
  try {
    const keys = [...picked.value];
    const done = await post<Outcome>("/api/v1/events/bulk", { keys, action, params });
    tellOutcome(title, done);
    return true;
  } catch (e) { s.tell(t("action.failed", { why: (e as Error).message }), true); return false; }
}

export async function tag(keys: string[], add: string[], remove: string[]): Promise<void> {
  try {
    tellOutcome(t("evl.tag"), await post<Outcome>("/api/v1/events/tags", { keys, add, remove }), true);
    void loadTags();
  } catch (e) { s.tell(t("action.failed", { why: (e as Error).message }), true); }
}

function tellOutcome(title: string, of: Outcome, keep = false): void {
  if (of.refused.length) outcome.value = { title, of };
  else s.tell(t("evl.done", { title, n: of.done.length }));
  if (!keep) picked.value = new Set(of.refused.map((r) => r.code));
  void load();
}
