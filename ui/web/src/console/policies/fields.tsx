/** Fields of the forms of policies: each stands for one path of the draft, says what is wrong with it, offers what it may hold. */
import { useState } from "preact/hooks";
import { get } from "../../common/api";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { signal } from "@preact/signals";
import { faultAt } from "./form";
import * as p from "./store";
import type { Json } from "./types";

export type Path = (string | number)[];
export type Obj = Record<string, Json>;
export interface Option { key: string; title: Titled | null }
export interface ProductOption extends Option { properties: { key: string; title: Titled; unit: string | null }[] }
export interface Choices { roles: Option[]; groups: Option[]; scenes: Option[]; plans: Option[]; kinds: Option[]; products: ProductOption[]; records: Option[] }

/** What the forms offer; read once when the first of them is opened. */
export const choices = signal<Choices | null>(null);
export function loadChoices(): void {
  if (!choices.value) get<Choices>("/api/v1/policies/choices").then((got) => (choices.value = got), (why: Error) => (p.why.value = why.message));
}

export const at = (path: Path): Json | undefined => path.reduce<Json | undefined>((of, part) => (of as Record<string | number, Json> | undefined)?.[part], p.draft.value as Json);
export const said = (o: Option): string => (o.title ? `${tt(o.title)} · ${o.key}` : o.key);
const fault = (path: Path) => { const why = faultAt(path); return { class: why ? "wrongfield" : "", title: why || undefined, name: path.join(".") }; };

export function Field({ label, children, wide, path }: { label: string; children: preact.ComponentChildren; wide?: boolean; path?: Path }) {
  const why = path ? faultAt(path) : "";
  return <label class={`pfield${wide ? " wide" : ""}`}><span class="small muted">{label}</span>{children}{why && <span class="wrong small">{why}</span>}</label>;
}

/** A line of text; with `empty` an emptied one is taken out of the draft. */
export function Text({ path, label, keep, ...more }: { path: Path; label: string; keep?: boolean; placeholder?: string }) {
  return <input aria-label={label} {...fault(path)} {...more} value={String(at(path) ?? "")} onInput={(e) => p.put(path, e.currentTarget.value || (keep ? "" : undefined))} />;
}

export function Amount({ path, label, min, max, step }: { path: Path; label: string; min?: number; max?: number; step?: number | "any" }) {
  return <input type="number" aria-label={label} {...fault(path)} min={min} max={max} step={step ?? 1} value={at(path) === undefined ? "" : Number(at(path))} onChange={(e) => p.put(path, e.currentTarget.value === "" ? undefined : Number(e.currentTarget.value))} />;
}

export function Code({ path, label, rows = 2 }: { path: Path; label: string; rows?: number }) {
  const mark = fault(path);
  return <textarea rows={rows} spellcheck={false} aria-label={label} {...mark} class={`code ${mark.class}`} value={String(at(path) ?? "")} onInput={(e) => p.put(path, e.currentTarget.value || undefined)} />;
}

export function Both({ path, label }: { path: Path; label: string }) {
  return <span class="titled"><input aria-label={label} {...fault([...path, "zh"])} value={String(at([...path, "zh"]) ?? "")} onChange={(e) => p.put([...path, "zh"], e.currentTarget.value)} /><input lang="en" aria-label={`${label} en`} {...fault([...path, "en"])} value={String(at([...path, "en"]) ?? "")} onChange={(e) => p.put([...path, "en"], e.currentTarget.value)} /></span>;
}

/** One of what is offered; what stands there and is not offered stays. */
export function Pick({ path, label, options, none, number }: { path: Path; label: string; options: Option[]; none?: string; number?: boolean }) {
  const now = at(path);
  const known = now === undefined || options.some((o) => o.key === String(now));
  return (
    <select aria-label={label} {...fault(path)} value={now === undefined ? "" : String(now)} onChange={(e) => { const v = e.currentTarget.value; p.put(path, v === "" ? undefined : number ? Number(v) : v); }}>
      {(none !== undefined || now === undefined) && <option value="">{none ?? "—"}</option>}
      {!known && <option value={String(now)}>{String(now)}</option>}
      {options.map((o) => <option value={o.key}>{o.title ? tt(o.title) : o.key}</option>)}
    </select>
  );
}

export function Tick({ path, label }: { path: Path; label: string }) {
  return <label class="tickline"><input type="checkbox" name={path.join(".")} checked={at(path) === true} onChange={(e) => p.put(path, e.currentTarget.checked || undefined)} />{label}</label>;
}

/** Several of a few: buttons that are on or off. */
export function Toggles({ path, label, options, number }: { path: Path; label: string; options: Option[]; number?: boolean }) {
  const now = ((at(path) as Json[] | undefined) ?? []).map(String);
  const flip = (key: string) => {
    const next = options.map((o) => o.key).filter((k) => (k === key ? !now.includes(k) : now.includes(k)));
    p.put(path, next.length ? (number ? next.map(Number) : next) : undefined);
  };
  return <span class="toggles" role="group" aria-label={label}>{options.map((o) => <button type="button" aria-pressed={now.includes(o.key)} class={now.includes(o.key) ? "on" : ""} data-toggle={o.key} onClick={() => flip(o.key)}>{o.title ? tt(o.title) : o.key}</button>)}</span>;
}

/** Several of many: what is taken as tags, more from what is offered, or typed where anything may stand. */
export function Tags({ path, label, options, free }: { path: Path; label: string; options: Option[]; free?: boolean }) {
  const [typed, setTyped] = useState("");
  const now = ((at(path) as Json[] | undefined) ?? []).map(String);
  const titles = new Map(options.map((o) => [o.key, o]));
  const byTitle = new Map(options.map((o) => [said(o), o.key]));
  const id = `tags-${path.join("-")}`;
  const add = (word: string) => {
    const key = byTitle.get(word) ?? (titles.has(word) || free ? word.trim() : "");
    if (!key) return;
    if (!now.includes(key)) p.put(path, [...now, key]);
    setTyped("");
  };
  const drop = (key: string) => { const next = now.filter((k) => k !== key); p.put(path, next.length ? next : undefined); };
  return (
    <span class={`tagbox ${faultAt(path) ? "wrongfield" : ""}`} data-tags={path.join(".")}>
      {now.map((key) => <span class="tagof">{titles.get(key)?.title ? tt(titles.get(key)!.title) : key}<button type="button" aria-label={t("pol.remove", { n: key })} onClick={() => drop(key)}><Icon name="x" size={12} /></button></span>)}
      <input list={options.length ? id : undefined} aria-label={label} placeholder={t("pol.tag.add")} value={typed} onInput={(e) => { setTyped(e.currentTarget.value); if (byTitle.has(e.currentTarget.value)) add(e.currentTarget.value); }}
        onKeyDown={(e) => { if (e.key === "Enter") { e.preventDefault(); add(typed); } else if (e.key === "Backspace" && !typed && now.length) drop(now.at(-1)!); }} onBlur={() => free && typed && add(typed)} />
      {options.length > 0 && <datalist id={id}>{options.filter((o) => !now.includes(o.key)).map((o) => <option value={said(o)} />)}</datalist>}
    </span>
  );
}

/** Up, down and away for one of a list. */
export function RowActs({ path, i, of }: { path: Path; i: number; of: Json[] }) {
  const move = (by: number) => { const next = [...of]; const [one] = next.splice(i, 1); next.splice(i + by, 0, one!); p.put(path, next); };
  return (
    <span class="rowacts"><button type="button" class="ghost" disabled={i === 0} aria-label={t("pol.up", { n: i + 1 })} onClick={() => move(-1)}><Icon name="chevron-up" /></button><button type="button" class="ghost" disabled={i === of.length - 1} aria-label={t("pol.down", { n: i + 1 })} onClick={() => move(1)}><Icon name="chevron-down" /></button>
      <button type="button" class="ghost" aria-label={t("pol.remove", { n: i + 1 })} onClick={() => p.put([...path, i], undefined)}><Icon name="x" /></button></span>
  );
}

export const Add = ({ what, make, path, of }: { what: string; make: Json; path: Path; of: Json[] }) => <button type="button" class="btn addrow" data-add={path.join(".")} onClick={() => p.put(path, [...of, make])}><Icon name="plus" />{what}</button>;
