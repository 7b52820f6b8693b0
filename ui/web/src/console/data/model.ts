/** The load that is being prepared: a file, what its columns are, what would become of it. */
import { computed, signal } from "@preact/signals";
import { go, tell } from "../state";
import * as api from "./api";

export type Step = "map" | "check" | "done";

export const all = signal<api.Kinds | null>(null);
export const sending = signal<number | null>(null);
export const file = signal<api.Described | null>(null);
export const suggested = signal<api.Suggested | null>(null);
export const asked = signal<api.Asked | null>(null);
export const result = signal<api.Result | null>(null);
export const corrected = signal<Record<number, Record<string, string | null>>>({});
export const busy = signal(false);
export const progress = signal<number | null>(null);
export const step = signal<Step>("map");
export const job = signal<number | null>(null);
export const chosenRow = signal<number | null>(null);

/** Fields that must be there and have no column. */
export const lacking = computed(() => {
  const mapped = new Set(Object.values(asked.value?.mapping ?? {}));
  return (suggested.value?.fields ?? []).filter((f) => f.required && !mapped.has(f.name));
});
/** What still stops a check: no kind, or no place for a kind that has one. */
export const unplaced = computed(() => {
  const s = suggested.value, a = asked.value;
  return Boolean(s && a && s.geometry !== "none" && !s.shapes && !s.wkt && !(a.x && a.y));
});

async function guarded<T>(work: () => Promise<T>): Promise<T | null> {
  busy.value = true;
  try {
    return await work();
  } catch (why) {
    tell((why as Error).message, true);
    return null;
  } finally {
    busy.value = false;
    progress.value = null;
  }
}

export function reset(): void {
  file.value = suggested.value = asked.value = result.value = null;
  job.value = chosenRow.value = null;
  corrected.value = {};
  step.value = "map";
}

export async function take(chosen: File): Promise<void> {
  reset();
  sending.value = 0;
  const upload = await guarded(() => api.sendFile(chosen, (share) => (sending.value = share)));
  sending.value = null;
  if (upload) go(`data/${upload}`);
}

export async function open(upload: string): Promise<void> {
  if (file.value?.upload === upload) return;
  reset();
  const found = await guarded(() => api.describe(upload, null, "auto"));
  if (!found) return go("data");
  file.value = found;
  const best = found.kinds[0];
  if (best) await choose(best.kind);
}

export async function look(layer: string | null, encoding: string): Promise<void> {
  const now = file.value!;
  const found = await guarded(() => api.describe(now.upload, layer, encoding));
  if (!found) return;
  file.value = found;
  const kind = asked.value?.kind ?? found.kinds[0]?.kind;
  if (kind) await choose(kind, layer, encoding);
}

export async function choose(kind: string, layer: string | null = null, encoding = "auto"): Promise<void> {
  const now = file.value!;
  const said = await guarded(() => api.suggest(now.upload, { kind, layer, encoding, source: null }));
  if (!said) return;
  suggested.value = said;
  asked.value = {
    kind, layer: layer ?? (now.layers.length > 1 ? said.layer : null), encoding, mapping: { ...said.mapping }, key: said.key,
    crs: said.crs && said.crs.startsWith("EPSG") ? "auto" : said.crs, x: said.x, y: said.y, source: said.source,
  };
  if (asked.value.crs.startsWith("wkt")) asked.value = { ...asked.value, crs: "auto" };
  result.value = null;
  step.value = "map";
}

export function say(part: Partial<api.Asked>): void {
  asked.value = { ...asked.value!, ...part };
  result.value = null;
}

/** Say which field a column is; a field has one column, so another one lets go of it. */
export function setTarget(column: string, target: string): void {
  const mapping = Object.fromEntries(Object.entries(asked.value!.mapping).filter(([c, f]) => c !== column && f !== target));
  say({ mapping: { ...mapping, [column]: target || "-" } });
}

function wanted(): api.Asked {
  const a = asked.value!;
  // What was suggested and then let go must not be found again by its name.
  const mapping = Object.fromEntries(suggested.value!.columns.map((c) => [c.name, a.mapping[c.name] ?? "-"]).filter(([c, f]) => f !== "-" || ![a.key, a.x, a.y, suggested.value!.wkt].includes(c!)));
  return { ...a, mapping };
}

export async function check(): Promise<void> {
  const upload = file.value!.upload;
  await guarded(async () => {
    progress.value = 0;
    if (Object.keys(corrected.value).length) await api.correct(upload, corrected.value);
    const said = await api.check(upload, wanted());
    result.value = said.result ?? (await api.follow(said.job!, (share) => (progress.value = share)));
    corrected.value = {};
    chosenRow.value = result.value.refused[0]?.row ?? null;
    step.value = "check";
  });
}

export async function commit(): Promise<void> {
  const upload = file.value!.upload;
  await guarded(async () => {
    progress.value = 0;
    const { job: id } = await api.commit(upload, wanted());
    job.value = id;
    result.value = await api.follow(id, (share) => (progress.value = share));
    step.value = "done";
  });
}

export function fix(row: number, column: string, value: string): void {
  const old = corrected.value;
  corrected.value = { ...old, [row]: { ...old[row], [column]: value } };
}

/** The column that a reason speaks of: reasons begin with the field's name. */
export function blamed(reason: string): string | null {
  const field = reason.split(":")[0]!.split(" ")[0]!;
  return Object.entries(asked.value?.mapping ?? {}).find(([, f]) => f === field)?.[0] ?? null;
}
