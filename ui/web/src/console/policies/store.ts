/** What the policies page knows: which document is open, its draft, what checking says of it. */
import { computed, signal } from "@preact/signals";
import { get, post } from "../../common/api";
import { t } from "../../common/i18n";
import * as s from "../state";
import type { Checked, Doc, Flow, Json, Listed, One, Trial } from "./types";

export const list = signal<Listed[]>([]);
export const one = signal<One | null>(null);
export const draft = signal<Doc | null>(null);
export const checked = signal<Checked | null>(null);
/** The draft that checking has looked at. */
export const looked = signal<Doc | null>(null);
export const trial = signal<Trial | null>(null);
export const flow = signal<Flow | null>(null);
export const busy = signal("");
export const why = signal("");

export const mayWrite = (): boolean => s.session.value.acts.includes("policy.write");
export const changed = computed(() => !!one.value && !!draft.value && (one.value.version === 0 || JSON.stringify(one.value.document) !== JSON.stringify(draft.value)));
const base = () => `/api/v1/policies/${one.value!.kind}/${encodeURIComponent(one.value!.key)}`;

export async function loadList(): Promise<void> {
  try { list.value = await get<Listed[]>("/api/v1/policies"); } catch (e) { why.value = (e as Error).message; }
}

export async function show(kind: string, key: string, version?: number): Promise<void> {
  why.value = "";
  trial.value = checked.value = null;
  try {
    const got = await get<One>(`/api/v1/policies/${kind}/${encodeURIComponent(key)}${version ? `?version=${version}` : ""}`);
    one.value = got;
    draft.value = structuredClone(got.document);
    flow.value = null;
    if (kind === "process") void follow();
  } catch (e) { why.value = (e as Error).message; }
}

/** The counts of a process follow the city while its page is open. */
export async function follow(): Promise<void> {
  const key = one.value?.kind === "process" ? one.value.key : null;
  if (!key) return;
  const got = await get<Flow>(`/api/v1/policies/process/${encodeURIComponent(key)}/flow?days=30`).catch(() => null);
  if (got && one.value?.key === key) flow.value = got;
}

/** Begin a new document as a copy of the one that is open; nothing runs until it is published. */
export function begin(key: string, title: { zh: string; en: string }): void {
  const of = one.value!;
  trial.value = null;
  draft.value = { ...structuredClone(draft.value!), key, title };
  one.value = { ...of, key, version: 0, versions: [] };
  void check();
}

let timer = 0;
/** Put a value at a path of the draft; half a second later it is checked. */
export function put(path: (string | number)[], value: Json | undefined): void {
  const doc = structuredClone(draft.value!) as Json;
  let at = doc as Record<string | number, Json>;
  for (const part of path.slice(0, -1)) at = (at[part] ??= {}) as Record<string | number, Json>;
  const last = path[path.length - 1]!;
  if (value === undefined && Array.isArray(at)) (at as unknown as Json[]).splice(Number(last), 1);
  else if (value === undefined) delete at[last];
  else at[last] = value;
  take(doc as Doc);
}

export function take(doc: Doc): void {
  draft.value = doc;
  clearTimeout(timer);
  timer = window.setTimeout(() => void check(), 500);
}

export async function check(): Promise<void> {
  if (!one.value || !draft.value || !mayWrite()) return;
  const doc = draft.value;
  try { checked.value = await post<Checked>(`${base()}/check`, { document: draft.value }); } catch (e) { checked.value = { faults: [{ path: [], why: (e as Error).message }], warnings: [] }; }
  looked.value = doc;
}

export async function simulate(days: number): Promise<void> {
  busy.value = "simulate";
  trial.value = null;
  try { trial.value = await post<Trial>(`${base()}/simulate`, { document: draft.value, days }); } catch (e) { s.tell((e as Error).message, true); }
  busy.value = "";
}

export async function publish(note: string): Promise<boolean> {
  busy.value = "publish";
  try {
    const done = await post<{ version: number; changed: boolean }>(`${base()}/publish`, { document: draft.value, note });
    s.tell(t(done.changed ? "pol.published" : "pol.same", { v: done.version }));
    await Promise.all([show(one.value!.kind, one.value!.key), loadList()]);
    s.go(`policies/${one.value!.kind}/${one.value!.key}`);
    return true;
  } catch (e) { s.tell((e as Error).message, true); return false; } finally { busy.value = ""; }
}

export async function rollback(version: number): Promise<void> {
  try {
    const done = await post<{ version: number }>(`${base()}/rollback`, { version });
    s.tell(t("pol.rolled", { from: version, v: done.version }));
    await Promise.all([show(one.value!.kind, one.value!.key), loadList()]);
  } catch (e) { s.tell((e as Error).message, true); }
}
