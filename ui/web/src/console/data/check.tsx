/** What a load would do: counters, rows left out that can be corrected, changes, mended rows, and where they lie. */
import { useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { num } from "../../common/format";
import { t, tt, type Key } from "../../common/i18n";
import * as api from "./api";
import { CheckMap } from "./checkmap";
import * as m from "./model";
import { told, worth } from "./reasons";

type Tab = "refused" | "changed" | "mended";

export function Counters({ result, tab, onTab }: { result: api.Result; tab?: Tab; onTab?: (t: Tab) => void }) {
  const all: [Key, number, string, Tab?][] = [
    ["load.n.new", result.inserted, "good"], ["load.n.changed", result.updated, "changed", "changed"], ["load.n.same", result.unchanged, ""],
    ["load.n.mended", result.repaired, "mended", "mended"], ["load.n.refused", result.quarantined, "refused", "refused"],
  ];
  return (
    <ul class="counters">
      {all.map(([title, n, look, opens]) => {
        const inner = <><b>{num(n)}</b><span>{t(title)}</span></>;
        const cls = `${n ? look : "zero"}${tab && tab === opens ? " on" : ""}`;
        return <li class={cls} data-count={title}>{opens && onTab && n ? <button aria-pressed={tab === opens} onClick={() => onTab(opens)}>{inner}</button> : <div>{inner}</div>}</li>;
      })}
    </ul>
  );
}

function Cell({ row, column, bad }: { row: api.Row; column: string; bad: boolean }) {
  const field = m.suggested.value!.fields.find((f) => f.name === m.asked.value!.mapping[column]);
  const was = row.given[column] ?? "";
  const now = m.corrected.value[row.row]?.[column] ?? was;
  const change = (v: string) => m.fix(row.row, column, v);
  const title = field ? tt(field.title) : column;
  const codes = field?.codes ? Object.entries(field.codes) : null;
  const known = codes?.some(([k, v]) => k === now || (typeof v === "string" ? v : v.zh) === now || (typeof v === "string" ? v : v.en) === now);
  return (
    <label class={`cell${bad ? " bad" : ""}${now !== was ? " fixed" : ""}`}>
      <span class="cut" title={column}>{title}{title !== column && <em> {column}</em>}</span>
      {codes
        ? <select value={now} onChange={(e) => change(e.currentTarget.value)} data-column={column}>{!known && <option value={now}>{now}</option>}{codes.map(([, v]) => { const said = typeof v === "string" ? v : tt(v); return <option value={typeof v === "string" ? v : v.zh}>{said}</option>; })}</select>
        : <input value={now} data-column={column} aria-invalid={bad && now === was} onInput={(e) => change(e.currentTarget.value)} />}
    </label>
  );
}

function Refused({ row }: { row: api.Row }) {
  const open = m.chosenRow.value === row.row;
  const a = m.asked.value!;
  const bad = m.blamed(row.reason);
  const fixed = m.corrected.value[row.row];
  const placed = [a.x, a.y, a.key, m.suggested.value!.wkt];
  const used = Object.keys(row.given).filter((c) => (a.mapping[c] && a.mapping[c] !== "-") || placed.includes(c));
  const called = Object.entries(a.mapping).find(([, f]) => f === "name")?.[0];
  return (
    <li class={open ? "on" : ""} data-row={row.row}>
      <button class="line" aria-expanded={open} onClick={() => (m.chosenRow.value = open ? null : row.row)}>
        <Icon name={open ? "chevron-down" : "chevron-right"} /><span class="no">{num(row.row)}</span>
        <span class="name cut">{(called && row.given[called]) || "—"}</span>
        <span class="why cut" title={row.reason}>{told(row.reason)}</span>
        {fixed && <span class="tag fixed">{t("load.corrected")}</span>}
      </button>
      {open && <div class="cells">{used.map((c) => <Cell row={row} column={c} bad={c === bad} />)}</div>}
    </li>
  );
}

function said(value: unknown): string {
  if (value === null || value === undefined || value === "") return "—";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function Changed({ rows }: { rows: api.Change[] }) {
  const fields = new Map(m.suggested.value!.fields.map((f) => [f.name, f]));
  const shown = (name: string, v: unknown) => {
    const codes = fields.get(name)?.codes;
    if (name === "geom") return t("load.shape");
    return codes && typeof v === "string" && codes[v] ? tt(codes[v] as never) : said(v);
  };
  return (
    <div class="tablebox" role="region" aria-label={t("load.n.changed")} tabIndex={0}>
      <table class="table diff">
        <thead><tr><th scope="col">{t("load.thing")}</th><th scope="col">{t("load.col.field")}</th><th scope="col">{t("load.before")}</th><th /><th scope="col">{t("load.after")}</th></tr></thead>
        <tbody>
          {rows.flatMap((row) => Object.entries(row.changes).map(([name, [before, after]], i) => (
            <tr>
              <td>{i === 0 && <><b>{row.name || row.code}</b> <span class="muted small">{row.name && row.code}</span></>}</td>
              <td>{tt(fields.get(name)?.title) || (name === "geom" ? t("load.place") : name)}</td>
              <td class="before">{name === "geom" ? t("load.shape.old") : shown(name, before)}</td><td class="to" aria-hidden="true"><Icon name="arrow-right" size={14} /></td>
              <td class="after">{name === "geom" ? t("load.shape.new") : shown(name, after)}</td>
            </tr>
          )))}
        </tbody>
      </table>
    </div>
  );
}

function Reasons({ result, only, onOnly }: { result: api.Result; only: string | null; onOnly: (r: string | null) => void }) {
  const all = Object.entries(result.reasons).sort((a, b) => b[1] - a[1]);
  if (all.length < 2) return null;
  return <ul class="reasons">{all.slice(0, 8).map(([why, n]) => <li><button class={only === why ? "on" : ""} aria-pressed={only === why} onClick={() => onOnly(only === why ? null : why)}><b>{num(n)}</b>{grouped(result, why)}</button></li>)}</ul>;
}

/** What a group of reasons has in common, said by the first of its rows. */
function grouped(result: api.Result, why: string): string {
  const first = result.refused.find((r) => short(r.reason) === why);
  return first ? told(first.reason) : why;
}

const short = (reason: string) => reason.replace(/'[^']*'|[-\d.]+/g, "…").slice(0, 80);

export function Checked() {
  const result = m.result.value!;
  const first: Tab = result.quarantined ? "refused" : result.updated ? "changed" : "mended";
  const [tab, setTab] = useState<Tab>(first);
  const [only, setOnly] = useState<string | null>(null);
  const fixes = Object.keys(m.corrected.value).length;
  const rows = result.refused.filter((r) => !only || short(r.reason) === only);
  const shown = tab === "refused" ? result.quarantined : tab === "changed" ? result.updated : result.repaired;
  return (
    <>
      <Counters result={result} tab={tab} onTab={setTab} />
      <div class="checked">
        <div class="findings">
          {tab === "refused" && <Reasons result={result} only={only} onOnly={setOnly} />}
          {!shown && <p class="clean"><Icon name="check-check" size={20} />{t("load.clean")}</p>}
          {tab === "refused" && result.quarantined > 0 && <ul class="rows">{rows.slice(0, 200).map((r) => <Refused row={r} key={r.row} />)}</ul>}
          {tab === "changed" && result.updated > 0 && <Changed rows={result.diff} />}
          {tab === "mended" && result.repaired > 0 && <ul class="rows">{result.mended.slice(0, 200).map((r) => <li><p class="line"><span class="no">{num(r.row)}</span><span class="why cut">{told(r.reason)}</span></p></li>)}</ul>}
          {shown > 200 && <p class="muted small more">{t("load.first200", { n: num(shown) })}</p>}
          {worth(result.notes).map((n) => <p class="note"><Icon name="info" />{told(n)}</p>)}
        </div>
        {m.suggested.value!.geometry !== "none" && <CheckMap rows={result.refused} />}
      </div>
      <footer class="bar">
        <div class="grow">
          {fixes > 0 ? <p class="warn"><Icon name="info" />{t("load.fixes", { n: fixes })}</p>
            : result.quarantined > 0 ? <p class="muted">{t("load.leftout", { n: num(result.quarantined) })}</p>
            : <p class="muted">{t("load.ready")}</p>}
        </div>
        <button class="btn" onClick={() => (m.step.value = "map")} disabled={m.busy.value}>{t("load.remap")}</button>
        <button class={fixes ? "btn main" : "btn"} data-do="check" disabled={m.busy.value} onClick={() => void m.check()}>{t("load.recheck")}</button>
        <button class={fixes ? "btn" : "btn main"} data-do="commit" disabled={m.busy.value || fixes > 0 || result.inserted + result.updated === 0} onClick={() => void m.commit()}>{m.busy.value ? t("load.working") : t("load.commit", { n: num(result.inserted + result.updated) })}</button>
      </footer>
    </>
  );
}
