/** Command: official warnings, suggested and running responses, their steps, run-card and answers; drills and reports. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../common/api";
import { num, span, stamp, when } from "../common/format";
import { Icon } from "../common/icon";
import { t, tt, type Key } from "../common/i18n";
import { placed } from "../common/places";
import type { LonLat, Titled } from "../common/types";
import { flyTo } from "./mapview";
import { Head } from "./rail";
import { Answers, Matching, Score, type Match, type Notice } from "./planparts";
import { Targets, type Target } from "./reach";
import { applyScene, scenes } from "./scenes";
import * as s from "./store";
import * as w from "./toolstore";

export interface Warning { id: string; identifier: string; event: string; level: number; headline: string; area: string; sent: string; expires: string | null; exercise: boolean; geometry: GeoJSON.Geometry | null }
interface Plan { key: string; title: Titled; category: string; verified?: boolean }
interface Step { key: string; title: Titled; do: string; after_s: number; at: string | null; by: string | null; note?: string; missing?: string[] }
interface Resource { num: number; code: string; name: string; kind: string; point: LonLat; travel_s: number; line: number | null; called_at: string | null; ready_at: string | null }
interface Line { title: Titled; kind: string; skill: string | null; count: number; filled: number; short: number; within: string | null; slowest_s?: number | null; by?: "road" | "line"; reasons: { why: Titled; n: number }[] }
export interface Response {
  code: string; title: string; severity: number; state: string; state_title: Titled; version: number; opened_at: string; plan: string; plan_title: Titled; scene: string | null; verified: boolean;
  drill: boolean; headline: string; area: string; suggested_level: number; hints: Record<string, { value: number; sensors: number; title: Titled; unit?: string }>; confirmed_at: string | null; ended_at: string | null;
  steps: Step[]; card: { lines: Line[]; resources: Resource[]; targets?: Target[] } | null; notices: Notice[]; waits_for_me: boolean; match: Match | null; over_at: string | null; quiet_s: number | null; actions: { action: string; title: Titled; need: Record<string, { required?: boolean }> }[];
}
interface Report {
  confirm_s: number | null; lasted_s: number | null; answers: { told: number; answered: number; share: number | null; median_s: number | null; slowest_s: number | null };
  resources: { wanted: number; filled: number; share: number | null; called: number; ready: number; short: Line[] }; steps: { key: string; title: Titled; due_s: number; took_s: number | null; in_time: boolean | null }[]; entries: number;
}

export const responses = signal<Response[]>([]);
export const warnings = signal<Warning[]>([]);
interface Refused { at: string; file: string; why: string }
const refused = signal<Refused[]>([]);
const plans = signal<Plan[]>([]);
const opened = signal<string | null>(null);

const ROMAN = ["", "Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ"];
const COLOR = ["", "critical", "major", "minor", "info"];
const failed = (why: Error) => s.tell(why.message);

export async function loadPlans(): Promise<void> {
  const [r, hold] = await Promise.all([get<{ responses: Response[] }>("/api/v1/responses"), get<{ warnings: Warning[]; refused: Refused[] }>("/api/v1/warnings")]);
  refused.value = hold.refused;
  responses.value = r.responses;
  warnings.value = hold.warnings;
  if (!plans.value.length) plans.value = (await get<{ plans: Plan[] }>("/api/v1/plans")).plans;
}

function take(one: Response): void {
  responses.value = [one, ...responses.value.filter((r) => r.code !== one.code)].filter((r) => !["closed", "declined"].includes(r.state)).sort((a, b) => a.severity - b.severity || a.code.localeCompare(b.code));
  if (["closed", "declined"].includes(one.state)) opened.value = null;
}

const lead = (r: Response, what: string, name = "", note = "") => post<Response>(`/api/v1/responses/${r.code}/${what}`, { name, note }).then(take, failed);

function Level({ n }: { n: number }) {
  return <span class="level" style={{ background: `var(--${COLOR[n]})` }}>{ROMAN[n]}</span>;
}

/** The resources of a running response lie on the map; a click on one flies there. */
function mark(r: Response | null): void {
  const rows = r?.card?.resources ?? [];
  w.found.value = rows.length ? { total: rows.length, things: rows.map((x) => ({ num: x.num, kind: x.kind, code: x.code, name: x.name, district_name: null, point: x.point })) } : null;
}

/** One resource: where it is, how long it needs, and the next thing to say of it. */
function Force({ r, x }: { r: Response; x: Resource }) {
  return (
    <li><button onClick={() => { void s.openThing(x.code); flyTo(x.point, 14); }}><span class="grow cut">{x.name || x.code}</span><span class="muted small">{span(x.travel_s)}</span></button>
      {r.state === "active" && (x.ready_at ? <span class="good small">{t("plan.ready")}</span> : <button class="btn ack" data-resource={x.code} onClick={() => void lead(r, "resource", x.code)}>{t(x.called_at ? "plan.arrived" : "plan.call")}</button>)}</li>
  );
}

function Card({ r }: { r: Response }) {
  if (!r.card) return null;
  return (
    <>
      <h3>{t("plan.card")}<span class="muted">{num(r.card.lines.reduce((n, l) => n + l.filled, 0))} / {num(r.card.lines.reduce((n, l) => n + l.count, 0))}</span></h3>
      <Targets of={r.card.targets ?? []} />
      {r.card.lines.map((line, i) => (
        <details class="group" key={i}>
          <summary><Icon name="chevron-right" size={14} /><span class="grow cut">{tt(line.title)}</span>{line.short > 0 && <span class="tag late">{t("plan.short", { n: line.short })}</span>}<b>{line.filled}/{line.count}</b></summary>
          <p class="muted small reasons">{[line.within && t("plan.within", { s: line.within }), line.slowest_s ? t(line.by === "line" ? "plan.slowest.line" : "plan.slowest", { s: span(line.slowest_s) }) : ""].filter(Boolean).join(" · ")}</p>
          {line.short > 0 && <p class="muted small reasons">{line.reasons.map((why) => `${tt(why.why)} ${why.n}`).join(" · ") || t("plan.nobody")}</p>}
          <ul class="mini">{r.card!.resources.filter((x) => x.line === i).map((x) => <Force key={x.code} r={r} x={x} />)}</ul>
        </details>
      ))}
      {r.card.resources.some((x) => x.line === null) && <details class="group" open><summary><Icon name="chevron-right" size={14} /><span class="grow">{t("plan.called.before")}</span></summary><ul class="mini">{r.card.resources.filter((x) => x.line === null).map((x) => <Force key={x.code} r={r} x={x} />)}</ul></details>}
    </>
  );
}

function Steps({ r }: { r: Response }) {
  void s.clock.value;
  const since = r.confirmed_at ? (s.serverNow() - Date.parse(r.confirmed_at)) / 1000 : 0;
  return (
    <ol class="plansteps">{r.steps.map((step) => {
      const late = !step.at && r.confirmed_at && since > step.after_s + 300;
      const hand = !["notify", "acknowledge"].includes(step.do);
      return (
        <li class={step.at ? "done" : late ? "late" : ""} data-step={step.key}>
          <i />
          <span class="grow"><span>{tt(step.title)}</span><span class="muted small">{step.at ? `${when(step.at)} · ${step.by === "system" ? t("plan.system") : step.by}` : t("plan.after", { s: span(step.after_s) })}</span></span>
          {r.state === "active" && hand && !step.at && <button class="btn ack" onClick={() => void lead(r, "step", step.key)}>{t("plan.done")}</button>}
        </li>
      );
    })}</ol>
  );
}

function Report({ r }: { r: Response }) {
  const [report, setReport] = useState<Report | null>(null);
  useEffect(() => { get<Report>(`/api/v1/responses/${r.code}/report`).then(setReport, failed); }, [r.version]);
  if (!report) return null;
  const rows: [Key, string][] = [
    ["plan.report.confirm", report.confirm_s === null ? "—" : span(report.confirm_s)], ["plan.report.lasted", report.lasted_s === null ? "—" : span(report.lasted_s)],
    ["plan.report.answers", `${report.answers.answered}/${report.answers.told}${report.answers.median_s === null ? "" : ` · ${t("plan.report.median", { s: span(report.answers.median_s) })}`}`],
    ["plan.report.filled", `${report.resources.filled}/${report.resources.wanted}${report.resources.share === null ? "" : ` · ${num(report.resources.share)}%`}`], ["plan.report.ready", num(report.resources.ready)],
    ["plan.report.steps", `${report.steps.filter((x) => x.in_time).length}/${report.steps.length}`], ["plan.report.entries", num(report.entries)],
  ];
  return (
    <section class="report" aria-label={t("plan.report")}>
      <h3>{t("plan.report")}</h3>
      <dl class="facts">{rows.map(([key, value]) => <div><dt class="muted">{t(key)}</dt><dd data-report={key}>{value}</dd></div>)}</dl>
      {report.resources.short.length > 0 && <p class="advice">{t("plan.report.short", { what: report.resources.short.map((l) => `${tt(l.title)} ${l.short}`).join("、") })}</p>}
    </section>
  );
}

function Actions({ r }: { r: Response }) {
  const [ask, setAsk] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [level, setLevel] = useState(r.suggested_level);
  const run = (action: string, body: Record<string, unknown>) => post<Response>(`/api/v1/responses/${r.code}/actions/${action}`, { version: r.version, ...body }).then((one) => { setAsk(null); setText(""); take(one); }, failed);
  const needed = r.actions.find((a) => a.action === ask);
  if (needed) {
    const [wantsLevel, word] = ["level" in needed.need, ["reason", "note"].find((k) => needed.need[k]?.required)];
    return (
      <form class="ask" onSubmit={(e) => { e.preventDefault(); void run(needed.action, { ...(wantsLevel ? { level } : {}), ...(word ? { [word]: text } : {}) }); }}>
        {wantsLevel && <fieldset class="levels"><legend class="small muted">{t("plan.level")}</legend>{[1, 2, 3, 4].map((n) => <label><input type="radio" name="level" checked={level === n} onChange={() => setLevel(n)} /><Level n={n} /></label>)}</fieldset>}
        {word && <label class="field"><span>{t(word === "note" ? "plan.learnt" : "alarms.reason")}</span><textarea rows={2} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>}
        <div class="buttons"><button type="button" class="btn" onClick={() => setAsk(null)}>{t("action.cancel")}</button><button class="btn main" disabled={!!word && !text.trim()}>{tt(needed.title)}</button></div>
      </form>
    );
  }
  const first = ["confirm", "stand_down", "close"];
  return (
    <div class="actions">
      {r.waits_for_me && <button class="btn main" data-action="acknowledge" onClick={() => void lead(r, "acknowledge")}>{t("plan.acknowledge")}</button>}
      {r.actions.map((a) => <button class={`btn${first.includes(a.action) && !r.waits_for_me ? " main" : ""}`} data-action={a.action} onClick={() => setAsk(a.action)}>{tt(a.title)}</button>)}
      <a class="btn" data-briefing href={`/api/v1/responses/${r.code}/briefing.pdf`} target="_blank" rel="noopener"><Icon name="file-down" />{t("plan.briefing")}</a>
      {r.scene && <button class="btn" onClick={() => { const scene = scenes.value.find((one) => one.key === r.scene); if (scene) applyScene(scene); }}><Icon name="presentation" />{t("plan.scene")}</button>}
    </div>
  );
}

function Detail({ r }: { r: Response }) {
  useEffect(() => { mark(r); return () => mark(null); }, [r.version]);
  return (
    <div class="scroll pad" data-response={r.code}>
      <button class="back link" onClick={() => (opened.value = null)}>← {t("plan.all")}</button>
      <p class="standing"><span><Level n={r.severity} /> <b>{tt(r.plan_title)}</b></span><span class="muted">{tt(r.state_title)}</span></p>
      {r.drill && <p class="drill">{t("plan.isdrill")}</p>}
      <p class="muted small">{[r.headline, placed(r.area), when(r.opened_at), r.verified ? "" : t("plan.unverified")].filter(Boolean).join(" · ")}</p>
      {Object.values(r.hints).map((h) => <p class="small">{t("plan.hint", { what: tt(h.title), value: `${num(h.value)} ${h.unit ?? ""}`, n: h.sensors })}</p>)}
      {r.over_at && ["suggested", "active"].includes(r.state) && <p class="advice" data-over>{t(r.quiet_s === null ? "plan.over" : "plan.over.quiet", { t: when(r.over_at), end: when(Date.parse(r.over_at) + 1000 * (r.quiet_s ?? 0)) })}</p>}
      <Actions r={r} key={r.version} />
      {r.match && <details class="group" open={r.state === "suggested"}><summary><Icon name="chevron-right" size={14} /><span class="grow">{t("plan.match")}</span><b class="num" data-score>{num(100 * r.match.score)}%</b></summary><Score of={r.match} /></details>}
      {r.state !== "suggested" && <><h3>{t("plan.steps")}</h3><Steps r={r} /></>}
      <Card r={r} />
      <Answers notices={r.notices} active={r.state === "active"} reached={(who) => void lead(r, "reached", who, t("plan.by.phone"))} />
      {r.state === "review" && <Report r={r} />}
    </div>
  );
}

/** An official warning; opened, it shows how well each plan fits it. */
function Warned({ one }: { one: Warning }) {
  const [open, setOpen] = useState(false);
  const choose = (plan: string, level: number) => void post<Response>(`/api/v1/plans/${plan}/choose`, { warning: one.identifier, level }).then((made) => { take(made); opened.value = made.code; }, failed);
  return (
    <section data-warning={one.identifier}>
      <button class="open" aria-expanded={open} onClick={() => setOpen(!open)}><Level n={one.level} /><span class="grow"><span class="cut">{one.headline || one.event}</span><span class="muted small cut">{[one.area, when(one.sent), one.expires ? t("plan.until", { t: when(one.expires) }) : "", one.exercise ? t("plan.drillmark") : ""].filter(Boolean).join(" · ")}</span></span><Icon name="chevron-right" size={14} /></button>
      {open && <Matching warning={one.identifier} choose={choose} open={(code) => (opened.value = code)} />}
    </section>
  );
}

function Drill() {
  const [plan, setPlan] = useState("");
  const [level, setLevel] = useState(3);
  if (!s.session.value.acts.includes("alarm.handle")) return null;
  const go = (e: Event) => {
    e.preventDefault();
    const key = plan || plans.value[0]!.key;
    post<Response>(`/api/v1/plans/${key}/drill`, { level, note: t("plan.drill.note", { t: stamp(s.serverNow()) }) }).then((one) => { take(one); opened.value = one.code; }, failed);
  };
  return (
    <form class="ask drillform" onSubmit={go}>
      <h3>{t("plan.drill")}</h3>
      <label class="field"><span>{t("plan.title")}</span><select name="plan" value={plan || plans.value[0]?.key} onChange={(e) => setPlan(e.currentTarget.value)}>{plans.value.map((p) => <option value={p.key}>{tt(p.title)}</option>)}</select></label>
      <fieldset class="levels"><legend class="small muted">{t("plan.level")}</legend>{[1, 2, 3, 4].map((n) => <label><input type="radio" name="drill-level" checked={level === n} aria-label={ROMAN[n]} onChange={() => setLevel(n)} /><Level n={n} /></label>)}</fieldset>
      <button class="btn" disabled={!plans.value.length}>{t("plan.drill.start")}</button>
    </form>
  );
}

export function Plans() {
  useEffect(() => { loadPlans().catch(failed); }, [Math.floor(s.clock.value / 5000)]);
  const r = responses.value.find((one) => one.code === opened.value);
  return (
    <>
      <Head title={t("rail.plans")} />
      {r ? <Detail key={r.code} r={r} /> : (
        <div class="scroll pad">
          <h3>{t("plan.responses")}<span class="muted">{responses.value.length}</span></h3>
          {!responses.value.length && <p class="muted small">{t("plan.none")}</p>}
          <ul class="responses">{responses.value.map((one) => <li key={one.code}><button data-open={one.code} class={one.state === "suggested" ? "suggested" : ""} onClick={() => (opened.value = one.code)}><Level n={one.severity} /><span class="grow"><span class="cut">{one.drill && <b class="drillmark">{t("plan.drillmark")}</b>}{tt(one.plan_title)}</span><span class="muted small cut">{[tt(one.state_title), one.headline, when(one.opened_at)].filter(Boolean).join(" · ")}</span></span></button></li>)}</ul>
          <h3>{t("plan.warnings")}<span class="muted">{warnings.value.length}</span></h3>
          {!warnings.value.length && <p class="muted small">{t("plan.warnings.none")}</p>}
          <div class="warnlist">{warnings.value.map((one) => <Warned key={one.id} one={one} />)}</div>
          {refused.value.length > 0 && <details class="group"><summary><Icon name="chevron-right" size={14} /><span class="grow">{t("plan.refused")}</span><b>{refused.value.length}</b></summary><ul class="mini refused">{refused.value.map((f) => <li><span class="grow"><span class="cut">{f.file}</span><span class="muted small">{f.why}</span></span><span class="muted small">{when(f.at)}</span></li>)}</ul></details>}
          <Drill />
        </div>
      )}
    </>
  );
}
