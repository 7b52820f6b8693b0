/** The form of one action of a process: its fields are what the definition says it needs. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get, upload } from "./api";
import { t, tt } from "./i18n";
import type { Action, Need, Titled } from "./types";

export interface Option { value: string; title: Titled | string }
export interface FullNeed extends Need { min?: number; max?: number; within_m?: number; choices?: { key: string; title: Titled }[]; options?: Option[] | Record<string, Titled> | string[] }
export interface Department { code: string; type: string; name: Titled; district: string | null }

let departments: Promise<Department[]> | null = null;
const allDepartments = () => (departments ??= get<Department[]>("/api/v1/departments").catch((why) => { departments = null; throw why; }));
let crews: Promise<{ code: string; name: string }[]> | null = null;
const allCrews = () => (crews ??= get<{ crews: { code: string; name: string }[] }>("/api/v1/dispatch/crews").then((r) => r.crews).catch((why) => { crews = null; throw why; }));

function choices(need: FullNeed): Option[] {
  if (need.choices) return need.choices.map((c) => ({ value: c.key, title: c.title }));
  const said = need.options ?? [];
  if (Array.isArray(said)) return said.map((o) => (typeof o === "string" ? { value: o, title: o } : o));
  return Object.entries(said).map(([value, title]) => ({ value, title }));
}

function Select({ need, options, value, set }: { need: FullNeed; options: Option[]; value: string; set(v: string): void }) {
  return (
    <select name={need.key} required={need.required} value={value} onChange={(e) => set(e.currentTarget.value)}>
      <option value="">{t("act.choose")}</option>
      {options.map((o) => <option value={o.value}>{tt(o.title)}</option>)}
    </select>
  );
}

function Loaded({ need, load, value, set }: { need: FullNeed; load(): Promise<Option[]>; value: string; set(v: string): void }) {
  const [options, setOptions] = useState<Option[]>([]);
  useEffect(() => { void load().then(setOptions, () => setOptions([])); }, []);
  return <Select need={need} options={options} value={value} set={set} />;
}

function Photos({ need, value, set }: { need: FullNeed; value: string[]; set(v: string[]): void }) {
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState("");
  const add = async (files: FileList | null) => {
    if (!files) return;
    setBusy(true); setWhy("");
    try { set([...value, ...(await Promise.all([...files].slice(0, 12).map((f) => upload(f)))).map((f) => f.url)]); } catch (e) { setWhy((e as Error).message); }
    setBusy(false);
  };
  return (
    <span class="photopick">
      <input type="file" name={need.key} accept="image/*" multiple required={need.required && !value.length} onChange={(e) => void add(e.currentTarget.files)} />
      {busy && <span class="muted small" role="status">{t("action.sending")}…</span>}{why && <span class="wrong small" role="alert">{why}</span>}
      {value.map((url) => <img src={`${url}?w=160`} alt="" width="56" height="42" />)}
    </span>
  );
}

function Field({ need, value, set }: { need: FullNeed; value: unknown; set(v: unknown): void }) {
  const said = (value ?? "") as string;
  if (need.type === "photos") return <Photos need={need} value={(value as string[]) ?? []} set={set} />;
  if (need.type === "choice") return <Select need={need} options={choices(need)} value={said} set={set} />;
  if (need.type === "department") return <Loaded need={need} load={async () => (await allDepartments()).map((d) => ({ value: d.code, title: d.name }))} value={said} set={set} />;
  if (need.type === "crew") return <Loaded need={need} load={async () => (await allCrews()).map((c) => ({ value: c.code, title: c.name }))} value={said} set={set} />;
  if (need.type === "number" || need.type === "hours")
    return <input type="number" name={need.key} required={need.required} min={need.min} max={need.max} step={need.type === "hours" ? 1 : "any"} value={said} onInput={(e) => set(e.currentTarget.value === "" ? undefined : Number(e.currentTarget.value))} />;
  if (need.type === "case" || need.type === "thing" || need.type === "organisation") return <input name={need.key} required={need.required} maxLength={64} value={said} onInput={(e) => set(e.currentTarget.value.trim())} />;
  return <textarea name={need.key} rows={2} maxLength={2000} required={need.required} value={said} onInput={(e) => set(e.currentTarget.value)} />;
}

/** Whether the action can be done without asking: nothing that it needs is required. */
export const bare = (action: Action): boolean => !action.need.some((n) => n.required);

export function ActionForm({ action, onSend, onCancel, given = {}, about }: {
  action: Action; onSend(params: Record<string, unknown>): Promise<boolean>; onCancel(): void; given?: Record<string, unknown>; about?: string;
}) {
  const [values, setValues] = useState<Record<string, unknown>>(given);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  // A desk has no position of its own: the field's phone sends that.
  const needs = (action.need as FullNeed[]).filter((n) => n.type !== "position" && !(n.key in given));
  useEffect(() => form.current?.querySelector<HTMLElement>("textarea, select, input")?.focus(), []);
  const missing = needs.some((n) => n.required && (values[n.key] === undefined || values[n.key] === "" || (n.type === "text" && !String(values[n.key]).trim()) || (n.type === "photos" && !(values[n.key] as string[])?.length)));
  return (
    <form class="ask" ref={form} data-form={action.action} onSubmit={async (e) => { e.preventDefault(); setBusy(true); try { if (await onSend(values)) onCancel(); } finally { setBusy(false); } }}
      onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); onCancel(); } }}>
      {about && <p class="muted small">{about}</p>}
      {needs.map((n) => <label class="field"><span>{tt(n.title)}{!n.required && <span class="muted"> {t("act.optional")}</span>}</span><Field need={n} value={values[n.key]} set={(v) => setValues((old) => ({ ...old, [n.key]: v }))} /></label>)}
      <div class="buttons"><button type="button" class="btn" onClick={onCancel}>{t("action.cancel")}</button><button class="btn main" data-send disabled={busy || missing}>{busy ? t("action.sending") : tt(action.title)}</button></div>
    </form>
  );
}
