/** A document as forms and tables, by its own shape: what has rows is a table, what has names is a list of them. */
import { useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { t, type Key } from "../../common/i18n";
import zh from "../../../locales/zh-CN.json";
import { checked, put } from "./store";
import type { Json } from "./types";

type Path = (string | number)[];
type Obj = Record<string, Json>;
const isObj = (v: Json | undefined): v is Obj => typeof v === "object" && v !== null && !Array.isArray(v);
const isTitle = (v: Json | undefined): boolean => isObj(v) && typeof v["zh"] === "string" && Object.keys(v).every((k) => k === "zh" || k === "en");
const flat = (v: Json): boolean => v === null || typeof v !== "object" || isTitle(v) || (Array.isArray(v) && v.every((x) => typeof x !== "object"));
export const label = (key: string): string => (`pol.f.${key}` in zh ? t(`pol.f.${key}` as Key) : key);
const CHOICES: Record<string, string[]> = { mode: ["auto", "suggest", "manual"], clock: ["wall", "work"], urgent_clock: ["wall", "work"] };
const HELP = ["never", "neighbours", "city"];
const choicesOf = (path: Path): string[] | undefined => (path.includes("mutual_help") ? HELP : CHOICES[String(path[path.length - 1])]);
export const faultAt = (path: Path): string => (checked.value?.faults ?? []).filter((f) => f.path.length >= path.length && path.every((p, i) => String(p) === String(f.path[i]))).map((f) => f.why).join("; ");

function Value({ path, value, name }: { path: Path; value: Json; name: string }) {
  const wrong = faultAt(path);
  const common = { "aria-label": name, title: wrong || undefined, class: wrong ? "wrongfield" : "", name: path.join(".") };
  const choices = choicesOf(path);
  if (typeof value === "boolean") return <input type="checkbox" {...common} checked={value} onChange={(e) => put(path, e.currentTarget.checked)} />;
  if (typeof value === "number") return <input type="number" step="any" {...common} value={value} onChange={(e) => put(path, e.currentTarget.value === "" ? undefined : Number(e.currentTarget.value))} />;
  if (isTitle(value)) { const said = value as Obj; return <span class="titled"><input {...common} value={String(said["zh"])} onChange={(e) => put([...path, "zh"], e.currentTarget.value)} /><input lang="en" aria-label={`${name} en`} value={String(said["en"] ?? "")} onChange={(e) => put([...path, "en"], e.currentTarget.value)} /></span>; }
  if (Array.isArray(value)) return <input {...common} value={value.join(", ")} onChange={(e) => { const parts = e.currentTarget.value.split(/[,，、]\s*/).map((x) => x.trim()).filter(Boolean); put(path, value.every((x) => typeof x === "number") && value.length ? parts.map(Number) : parts); }} />;
  if (choices && choices.includes(String(value))) return <select {...common} value={String(value)} onChange={(e) => put(path, e.currentTarget.value)}>{choices.map((c) => <option value={c}>{label(`v.${c}`)}</option>)}</select>;
  const long = ["guard", "when", "auto", "say", "extend"].includes(String(path[path.length - 1]));
  return long ? <textarea rows={2} class={`code ${common.class}`} aria-label={name} title={common.title} name={common.name} value={String(value ?? "")} onChange={(e) => put(path, e.currentTarget.value || undefined)} /> : <input {...common} value={String(value ?? "")} onChange={(e) => put(path, e.currentTarget.value)} />;
}

/** Rows of the same shape: a line each, columns in the order in which rows bring them. */
function Rows({ path, rows, names }: { path: Path; rows: Obj[]; names?: string[] }) {
  const columns = [...new Set(rows.flatMap((r) => Object.keys(r)))].filter((c) => rows.every((r) => r[c] === undefined || flat(r[c]!)));
  const at = (i: number): Path => [...path, names ? names[i]! : i];
  const move = (i: number, by: number) => { const next = [...rows]; const [taken] = next.splice(i, 1); next.splice(i + by, 0, taken!); put(path, next); };
  const empty = (c: string): Json => { const known = rows.find((r) => r[c] !== undefined)?.[c]; return typeof known === "number" ? 0 : typeof known === "boolean" ? false : Array.isArray(known) ? [] : isTitle(known) ? { zh: "", en: "" } : ""; };
  return (
    <div class="tablebox"><table class="table edit">
      <thead><tr>{names && <th scope="col">{label("name")}</th>}{columns.map((c) => <th scope="col">{label(c)}</th>)}<th scope="col"><span class="sr">{t("pol.row")}</span></th></tr></thead>
      <tbody>{rows.map((r, i) => (
        <tr class={faultAt(at(i)) ? "bad" : ""}>
          {names && <th scope="row"><code>{names[i]}</code></th>}
          {columns.map((c) => <td>{r[c] === undefined ? <button class="add" aria-label={t("pol.set", { name: label(c) })} onClick={() => put([...at(i), c], empty(c))}>+</button> : <Value path={[...at(i), c]} value={r[c]!} name={`${label(c)} ${i + 1}`} />}</td>)}
          <td class="rowacts">{!names && <><button class="ghost" disabled={i === 0} aria-label={t("pol.up", { n: i + 1 })} onClick={() => move(i, -1)}><Icon name="chevron-up" /></button><button class="ghost" disabled={i === rows.length - 1} aria-label={t("pol.down", { n: i + 1 })} onClick={() => move(i, 1)}><Icon name="chevron-down" /></button></>}
            <button class="ghost" aria-label={t("pol.remove", { n: names ? names[i]! : i + 1 })} onClick={() => put(at(i), undefined)}><Icon name="x" /></button></td>
        </tr>
      ))}</tbody>
    </table>
      {!names && <button class="btn addrow" onClick={() => put([...path, rows.length], Object.fromEntries(Object.entries(rows[rows.length - 1] ?? {}).map(([k]) => [k, empty(k)])))}><Icon name="plus" />{t("pol.add")}</button>}
    </div>
  );
}

export function Part({ path, value, name, depth = 0 }: { path: Path; value: Json; name: string; depth?: number }) {
  const [open, setOpen] = useState(depth < 2);
  if (flat(value)) return <label class="line"><span>{name}</span><Value path={path} value={value} name={name} /></label>;
  let body;
  if (Array.isArray(value)) body = value.every(isObj) ? <Rows path={path} rows={value as Obj[]} /> : <Raw path={path} value={value} />;
  else {
    const entries = Object.entries(value as Obj);
    const alike = entries.length > 1 && entries.every(([, v]) => isObj(v) && !isTitle(v) && Object.values(v).every(flat));
    body = alike ? <Rows path={path} rows={entries.map(([, v]) => v as Obj)} names={entries.map(([k]) => k)} />
      : <div class="lines">{entries.map(([k, v]) => <Part key={k} path={[...path, k]} value={v} name={label(k)} depth={depth + 1} />)}</div>;
  }
  return <section class={`part d${depth}`}><h3><button aria-expanded={open} onClick={() => setOpen(!open)}><Icon name={open ? "chevron-down" : "chevron-right"} />{name}</button></h3>{open && body}</section>;
}

function Raw({ path, value }: { path: Path; value: Json }) {
  const [bad, setBad] = useState(false);
  return <textarea rows={3} class={`code${bad ? " wrongfield" : ""}`} value={JSON.stringify(value)} onChange={(e) => { try { put(path, JSON.parse(e.currentTarget.value) as Json); setBad(false); } catch { setBad(true); } }} />;
}
