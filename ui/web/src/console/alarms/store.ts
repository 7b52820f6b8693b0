/** What the pages of alarms share: the list, what is asked of it, the alarm that is open. */
import { signal } from "@preact/signals";
import { get } from "../../common/api";
import type { Alarm, Counts, Detail, Rule, Silence } from "./types";

export const alarms = signal<Alarm[]>([]);
export const counts = signal<Counts | null>(null);
export const total = signal(0);
export const asked = signal<{ state: "open" | "ringing" | "closed" | "all"; level: number | null; rule: string }>({ state: "open", level: null, rule: "" });
export const open = signal<Detail | null>(null);
export const picked = signal<ReadonlySet<string>>(new Set());
export const rules = signal<Rule[]>([]);
export const silences = signal<Silence[]>([]);
export const why = signal("");

const guard = async (what: () => Promise<void>): Promise<void> => {
  try { await what(); why.value = ""; } catch (e) { why.value = (e as Error).message; }
};

export const read = () => guard(async () => {
  const { state, level, rule } = asked.value;
  const query = new URLSearchParams({ state, limit: "300" });
  if (level) query.set("level", String(level));
  if (rule) query.set("rule", rule);
  const found = await get<{ alarms: Alarm[]; total: number; counts: Counts }>(`/api/v1/alarms?${query}`);
  alarms.value = found.alarms;
  counts.value = found.counts;
  total.value = found.total;
  if (open.value && found.alarms.every((a) => a.code !== open.value!.code || a.version !== open.value!.version)) await show(open.value.code);
});

export const show = (code: string) => guard(async () => { open.value = await get<Detail>(`/api/v1/alarms/${encodeURIComponent(code)}`); });
export const readRules = () => guard(async () => { rules.value = (await get<{ rules: Rule[] }>("/api/v1/rules")).rules; });
export const readSilences = () => guard(async () => { silences.value = (await get<{ silences: Silence[] }>("/api/v1/silences")).silences; });
