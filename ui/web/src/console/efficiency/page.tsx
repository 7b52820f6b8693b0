/** How well events are handled: rates, funnel and stay times, heat on the map, league table, supervision. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, span } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { openWith } from "../events/store";
import type { Filters } from "../events/types";
import { Head } from "../parts/head";
import * as s from "../state";
import "./efficiency.css";
import { Heat } from "./heat";
import { Supervision } from "./supervision";

interface Rate { key: string; title: Titled; unit: string; value: number | null; part: number | null; whole: number | null; target: number | null; level: "good" | "bad" | "none" }
interface Rates { rates: Rate[]; early: Rate[]; most: Rate[]; hotline: Rate[] }
interface Row { code: string | null; name: string | Titled | null; opened: number; closed: number; on_time_rate: number | null; before: number | null; late_now: number; median_s: number | null; p90_s: number | null; response_s: number | null; rework_rate: number | null; returns: number; supervised: number; repeated: number; at_once_rate: number | null }
interface Day { day: string; opened: number; closed: number; on_time: number; own: number }
interface Funnel { steps: { stage: number; count: number }[]; out: Record<string, number> }
interface Flow { states: { state: string; title: Titled; stage: number; final: boolean; n: number; open: number; median_s: number | null; p90_s: number | null }[] }
const TABS = ["board", "table", "funnel", "heat", "supervision"] as const;
const BY = ["district", "department", "category", "source", "severity", "street"] as const;
const SPANS = [1, 7, 30, 90, 365];

export const spanQuery = (days: number): string => {
  const to = new Date(Math.ceil(Date.now() / 60e3) * 60e3);
  return `from=${encodeURIComponent(new Date(to.getTime() - days * 86400e3).toISOString())}&to=${encodeURIComponent(to.toISOString())}`;
};

const value = (r: Rate) => (r.value === null ? "—" : r.unit === "%" ? num(r.value) : span(r.value));

const dayBefore = (days: number) => new Date(Date.now() - days * 86400e3 + 8 * 3600e3).toISOString().slice(0, 10);
/** What a rate counts, as the list shows it: the list has no filter for what a rate takes together. */
const COUNTED: Record<string, Partial<Filters>> = { on_time: { state: "closed" }, satisfied: { state: "closed" }, lowest: { state: "closed" }, soonest: { state: "closed" }, cheapest: { state: "closed" }, lasting: { state: "closed" }, gravest: { state: "closed", severity: "1" } };

function Card({ of, days }: { of: Rate; days: number }) {
  return (
    <li class={`rate ${of.level}`}><span class="muted">{tt(of.title)}</span>
      <button onClick={() => openWith({ opened_from: dayBefore(days), ...(of.key.startsWith("hotline") ? { source: "12345" } : COUNTED[of.key]) })} title={t("eff.list")}><b>{value(of)}</b>{of.value !== null && of.unit === "%" && <span class="unit">%</span>}</button>
      <span class="small muted">{of.whole !== null ? t("eff.of", { part: num(of.part!), whole: num(of.whole) }) : t("eff.median")}{of.target !== null && ` · ${t("eff.target", { n: of.target })}`}</span>
      {of.value !== null && of.unit === "%" && <span class="bar"><i style={{ width: `${Math.min(100, of.value)}%` }} />{of.target !== null && <em style={{ left: `${of.target}%` }} />}</span>}</li>
  );
}

function Trend({ days }: { days: Day[] }) {
  if (days.length < 2) return <p class="muted">{t("eff.trend.few")}</p>;
  const W = 920, H = 150, most = Math.max(1, ...days.map((d) => d.opened)), step = W / days.length;
  return (
    <figure class="trend"><figcaption><b>{t("eff.trend")}</b><span class="legend small"><i class="o" />{t("eff.opened")}<i class="c" />{t("eff.closed")}</span></figcaption>
      <svg viewBox={`0 -6 ${W} ${H + 30}`} role="img" aria-label={t("eff.trend")}>
        {[0.5, 1].map((f) => <g><line x1={0} x2={W} y1={H * (1 - f)} y2={H * (1 - f)} class="grid" /><text x={0} y={H * (1 - f) - 3}>{num(Math.round(most * f))}</text></g>)}
        {days.map((d, i) => <g><rect x={i * step + step * 0.12} width={step * 0.36} y={H - (H * d.opened) / most} height={(H * d.opened) / most} class="o"><title>{`${d.day} ${t("eff.opened")} ${d.opened}`}</title></rect><rect x={i * step + step * 0.52} width={step * 0.36} y={H - (H * d.closed) / most} height={(H * d.closed) / most} class="c"><title>{`${d.day} ${t("eff.closed")} ${d.closed}`}</title></rect>
          {(days.length <= 16 || i % Math.ceil(days.length / 14) === 0) && <text x={i * step + step / 2} y={H + 18} text-anchor="middle">{d.day.slice(5)}</text>}</g>)}
      </svg></figure>
  );
}

function Board({ days }: { days: number }) {
  const [said, setSaid] = useState<Rates | null>(null);
  const [trend, setTrend] = useState<Day[]>([]);
  useEffect(() => {
    get<Rates>(`/api/v1/efficiency/rates?${spanQuery(days)}`).then(setSaid, (e: Error) => s.tell(e.message, true));
    get<Day[]>(`/api/v1/efficiency/trend?${spanQuery(days)}`).then(setTrend, () => setTrend([]));
  }, [days]);
  if (!said) return null;
  const part = (title: Key, list: Rate[], wide = false) => <section><h2>{t(title)}</h2><ul class={`rates${wide ? " five" : ""}`}>{list.map((r) => <Card of={r} days={days} />)}</ul></section>;
  return <div class="boardgrid">{part("eff.part.rates", said.rates)}<Trend days={trend} />{part("eff.part.hotline", said.hotline)}{part("eff.part.early", said.early)}{part("eff.part.most", said.most, true)}<p class="muted small">{t("eff.own")}</p></div>;
}

function Table({ days }: { days: number }) {
  const [by, setBy] = useState<(typeof BY)[number]>("district");
  const [rows, setRows] = useState<Row[]>([]);
  const [sort, setSort] = useState<keyof Row>("opened");
  useEffect(() => { get<{ rows: Row[] }>(`/api/v1/efficiency?by=${by}&${spanQuery(days)}`).then((r) => setRows(r.rows), (e: Error) => s.tell(e.message, true)); }, [by, days]);
  const whole = rows.find((r) => r.code === null), rest = rows.filter((r) => r.code !== null).sort((a, b) => Number(b[sort] ?? -1) - Number(a[sort] ?? -1));
  const columns: [keyof Row, Key, (r: Row) => string][] = [
    ["opened", "eff.opened", (r) => num(r.opened)], ["closed", "eff.closed", (r) => num(r.closed)], ["on_time_rate", "eff.ontime", (r) => (r.on_time_rate === null ? "—" : `${num(r.on_time_rate)} %`)], ["late_now", "eff.late", (r) => num(r.late_now)],
    ["response_s", "eff.response", (r) => (r.response_s === null ? "—" : span(r.response_s))], ["median_s", "eff.stay", (r) => (r.median_s === null ? "—" : span(r.median_s))], ["p90_s", "eff.p90", (r) => (r.p90_s === null ? "—" : span(r.p90_s))],
    ["at_once_rate", "eff.once", (r) => (r.at_once_rate === null ? "—" : `${num(r.at_once_rate)} %`)], ["rework_rate", "eff.rework", (r) => (r.rework_rate === null ? "—" : `${num(r.rework_rate)} %`)], ["returns", "eff.returns", (r) => num(r.returns)], ["supervised", "eff.supervised", (r) => num(r.supervised)],
  ];
  const name = (r: Row) => (r.code === null ? t("eff.whole") : by === "severity" ? t("eff.level", { n: r.code! }) : typeof r.name === "string" ? r.name : tt(r.name) || r.code || t("eff.nobody"));
  const delta = (r: Row) => (r.on_time_rate === null || r.before === null || r.before === undefined ? null : r.on_time_rate - r.before);
  const narrowed = (r: Row): Partial<Filters> => ({ opened_from: dayBefore(days), ...(r.code !== null && (by === "district" || by === "category" || by === "source" || by === "severity" || by === "department") ? { [by]: r.code } : {}) });
  /** The counts that the list can show as they are counted here. */
  const opens = (k: keyof Row): Partial<Filters> | null => (k === "opened" ? { state: "all" } : k === "closed" ? { state: "closed" } : k === "late_now" ? { state: "open", late: true } : null);
  const cell = (r: Row, k: keyof Row, said: string) => {
    const to = opens(k);
    return to && r[k] ? <button class="link" data-opens={k} title={t("eff.list")} onClick={() => openWith({ ...narrowed(r), ...to })}>{said}</button> : said;
  };
  const line = (r: Row, head = false) => (
    <tr class={head ? "whole" : ""}><th scope="row">{head ? name(r) : <a href="/console/events" onClick={(e) => { e.preventDefault(); openWith(narrowed(r)); }}>{name(r)}</a>}</th>
      {columns.map(([k, , show]) => <td class={`number${k === "late_now" && r.late_now ? " bad" : ""}`}>{cell(r, k, show(r))}{k === "on_time_rate" && delta(r) !== null && Math.abs(delta(r)!) >= 0.1 && <span class={`small delta ${delta(r)! > 0 ? "good" : "bad"}`}>{delta(r)! > 0 ? "▲" : "▼"}{num(Math.abs(delta(r)!))}</span>}</td>)}</tr>
  );
  return (
    <>
      <div class="asks"><div class="switch" role="group" aria-label={t("eff.by")}>{BY.map((x) => <button aria-pressed={by === x} onClick={() => setBy(x)}>{t(`eff.by.${x}` as Key)}</button>)}</div><a class="btn" href={`/api/v1/efficiency?by=${by}&f=csv&${spanQuery(days)}`}><Icon name="download" />CSV</a></div>
      <div class="tablebox" role="region" aria-label={t("eff.tab.table")} tabIndex={0}><table class="table"><thead><tr><th scope="col">{t(`eff.by.${by}` as Key)}</th>{columns.map(([k, title]) => <th scope="col" class="number" aria-sort={sort === k ? "descending" : undefined}><button onClick={() => setSort(k)}>{t(title)}{sort === k && " ↓"}</button></th>)}</tr></thead>
        <tbody>{whole && line(whole, true)}{rest.map((r) => line(r))}</tbody></table></div>
    </>
  );
}

function FunnelView({ days }: { days: number }) {
  const [f, setF] = useState<Funnel | null>(null);
  const [flow, setFlow] = useState<Flow | null>(null);
  useEffect(() => { get<Funnel>(`/api/v1/efficiency/funnel?${spanQuery(days)}`).then(setF, (e: Error) => s.tell(e.message, true)); get<Flow>(`/api/v1/policies/process/event.city/flow?days=${days}`).then(setFlow, () => setFlow(null)); }, [days]);
  if (!f) return null;
  const first = Math.max(1, f.steps[0]!.count);
  const longest = Math.max(1, ...(flow?.states ?? []).map((x) => x.p90_s ?? 0));
  return (
    <div class="funnelgrid">
      <section><h2>{t("eff.funnel")}</h2><ol class="funnel">{f.steps.map((x, i) => <li><span class="stage">{t(`stage.${x.stage}` as Key)}</span><button style={{ width: `${Math.max(3, (100 * x.count) / first)}%` }} onClick={() => openWith({ opened_from: dayBefore(days), ...(x.stage === 6 ? { state: "closed" } : {}) })} aria-label={`${t(`stage.${x.stage}` as Key)} ${x.count}`}><b>{num(x.count)}</b></button><span class="muted small">{i ? t("eff.kept", { n: num(f.steps[i - 1]!.count ? (100 * x.count) / f.steps[i - 1]!.count : 0) }) : ""}</span></li>)}</ol>
        <p class="muted small">{t("eff.out", { filtered: num(f.out["filtered"]!), merged: num(f.out["merged"]!), rejected: num(f.out["rejected"]!) })}</p></section>
      <section><h2>{t("eff.stays")}</h2><ul class="stays">{flow?.states.filter((x) => !x.final).map((x) => <li><span>{tt(x.title)}</span><span class="staybar"><i class="p90" style={{ width: `${(100 * (x.p90_s ?? 0)) / longest}%` }} /><i class="mid" style={{ width: `${(100 * (x.median_s ?? 0)) / longest}%` }} /></span><span class="number">{x.median_s === null ? <span class="muted">—</span> : <><b>{span(x.median_s)}</b> <span class="muted small">{t("eff.nine", { s: span(x.p90_s ?? x.median_s) })}</span></>}</span></li>)}</ul></section>
    </div>
  );
}

export default function EfficiencyPage() {
  void lang.value;
  const [, said = "board"] = s.path.value.split("/");
  const tab = TABS.find((x) => x === said) ?? "board";
  const [days, setDays] = useState(30);
  return (
    <div class={`page eff${tab === "heat" ? " full" : ""}`}>
      <Head title={t("eff.title")} about={t("eff.about")}>{tab !== "supervision" && <div class="switch" role="group" aria-label={t("eff.span")}>{SPANS.map((n) => <button aria-pressed={days === n} onClick={() => setDays(n)}>{t("eff.days", { n })}</button>)}</div>}</Head>
      <div class="tabs" role="tablist" aria-label={t("eff.title")}>{TABS.map((x) => <button role="tab" id={`tab-${x}`} aria-selected={tab === x} aria-controls="eff-panel" onClick={() => s.go(`efficiency/${x}`)}>{t(`eff.tab.${x}` as Key)}</button>)}</div>
      <div id="eff-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "board" && <Board days={days} />}{tab === "table" && <Table days={days} />}{tab === "funnel" && <FunnelView days={days} />}{tab === "heat" && <Heat days={days} />}{tab === "supervision" && <Supervision />}
      </div>
    </div>
  );
}
