/** The list: chosen columns, rows picked with the mouse or the keyboard, the open one and the hovered one shown on the map. */
import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { called, num, span, stamp, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { severity } from "../../mapkit";
import * as e from "./store";
import type { ColumnKey, Row } from "./types";
import { placed } from "../../common/places";

const SOURCES = new Set(["map", "open311", "patrol", "file", "hotline", "camera", "sensor", "satellite", "partner", "citizen", "app", "alarm", "code", "12345"]);
export const sourceName = (source: string): string => (SOURCES.has(source) ? t(`source.${source}` as Key) : source);

export function Clock({ of }: { of: Row }) {
  if (of.closed_at) return <span class="muted">{when(of.closed_at)}</span>;
  if (!of.due_at) return <span class="muted">—</span>;
  const left = (Date.parse(of.due_at) - Date.now()) / 1000;
  if (left < 0 || of.late) return <span class="tag late">{t("event.late", { s: span(-left) })}</span>;
  return <span class={left < 1800 ? "soon" : ""}>{t("event.due", { s: span(left) })}</span>;
}

const CELLS: Record<ColumnKey, (r: Row) => ComponentChildren> = {
  severity: (r) => <span class="level"><Mark level={r.severity} filled={r.stage < 3} /><span>{tt(severity(r.severity).title)}</span></span>,
  what: (r) => <span class="what"><b class="cut">{called(r)}</b>{r.description && <span class="muted small cut">{r.description}</span>}</span>,
  code: (r) => <code>{r.code}</code>,
  place: (r) => <span class="what"><span class="cut">{placed(r.district_name) ?? t("event.unplaced")}</span><span class="muted small cut">{placed(r.street_name) ?? r.address ?? ""}</span></span>,
  state: (r) => <span class={`stateword${r.final ? " muted" : ""}`}><i class={`dot s${r.stage}`} />{tt(r.state_title)}</span>,
  holder: (r) => (r.holder_name ?? r.holder ? <span class="cut">{r.holder_name ?? r.holder}</span> : <span class="muted">{r.stage < 3 ? t("event.nobody") : "—"}</span>),
  due: (r) => <Clock of={r} />,
  opened: (r) => <time dateTime={r.opened_at} title={stamp(r.opened_at)}>{when(r.opened_at)}</time>,
  source: (r) => sourceName(r.source),
  tags: (r) => <span class="tags">{r.tags?.map((x) => <button class="tagchip" onClick={(x2) => { x2.stopPropagation(); e.set({ tag: x }); }}>{x}</button>)}</span>,
  category: (r) => tt(r.category_title),
  reporter: (r) => r.reporter ?? "",
  entered: (r) => <span title={stamp(r.entered_at)}>{span((Date.now() - Date.parse(r.entered_at)) / 1000)}</span>,
  reworks: (r) => (r.reworks ? num(r.reworks) : ""),
};

function Line({ of, index }: { of: Row; index: number }) {
  const on = e.open.value === of.code;
  const key = (x: KeyboardEvent) => {
    const row = x.currentTarget as HTMLElement;
    if (x.target !== row) return;
    if (x.key === "Enter") { x.preventDefault(); e.open.value = of.code; }
    if (x.key === " ") { x.preventDefault(); e.pick(of.code); }
    if (x.key === "ArrowDown") { x.preventDefault(); (row.nextElementSibling as HTMLElement | null)?.focus(); }
    if (x.key === "ArrowUp") { x.preventDefault(); (row.previousElementSibling as HTMLElement | null)?.focus(); }
  };
  return (
    <tr data-code={of.code} tabIndex={index === 0 || on ? 0 : -1} class={`${on ? "on" : ""}${e.hot.value === of.code ? " hot" : ""}${e.picked.value.has(of.code) ? " picked" : ""}`}
      onClick={() => (e.open.value = on ? null : of.code)} onKeyDown={key} onMouseEnter={() => (e.hot.value = of.code)} onMouseLeave={() => (e.hot.value = null)}>
      <td class="pickcell" onClick={(x) => x.stopPropagation()}><input type="checkbox" tabIndex={-1} aria-label={t("evl.pick", { code: of.code })} checked={e.picked.value.has(of.code)} onChange={() => e.pick(of.code)} /></td>
      {e.columns.value.map((c) => <td class={`c-${c}`}>{CELLS[c](of)}</td>)}
    </tr>
  );
}

export function List() {
  const box = useRef<HTMLDivElement>(null);
  const list = e.rows.value;
  const all = list.length > 0 && list.every((r) => e.picked.value.has(r.code));
  useEffect(() => { if (e.open.value) box.current?.querySelector(`[data-code="${e.open.value}"]`)?.scrollIntoView({ block: "nearest" }); }, [e.open.value]);
  if (e.why.value) return <p class="fatal" role="alert">{t("error.load", { why: e.why.value })}</p>;
  if (!list.length && !e.loading.value) return <div class="empty muted calm"><Icon name="check-check" size={24} /><p>{t(e.filters.value.state === "open" ? "evl.none.open" : "events.none.filter")}</p></div>;
  return (
    <div class="tablebox rows" ref={box} role="region" aria-label={t("evl.list")} tabIndex={0}>
      <table class="table">
        <thead><tr>
          <th scope="col" class="pickcell"><input type="checkbox" aria-label={t("evl.pick.all")} checked={all} onChange={() => (e.picked.value = all ? new Set() : new Set(list.map((r) => r.code)))} /></th>
          {e.columns.value.map((c) => <th scope="col" class={`c-${c}`}>{t(`evl.col.${c}` as Key)}</th>)}
        </tr></thead>
        <tbody>{list.map((r, i) => <Line key={r.id} of={r} index={i} />)}</tbody>
      </table>
      {e.next.value && <button class="btn more" onClick={() => void e.more()}>{t("evl.load", { n: num(e.total.value - list.length) })}</button>}
    </div>
  );
}
