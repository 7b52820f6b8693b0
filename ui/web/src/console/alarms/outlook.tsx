/** What is expected: by when, how sure and why; and how right each kind of prediction has been. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { num, span, stamp } from "../../common/format";
import { t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { Dialog } from "../parts/dialog";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { readRules, rules, why } from "./store";

interface Ticket { id: string; kind: string; key: string; code: string | null; name: string | null; subscription: string | null; property: string | null; rule: string | null; due_at: string; due_from: string; due_to: string; confidence: number; evidence: Record<string, unknown>; state: string; predicted_at: string; lead_s: number | null }
interface Score { kind: string; open: number; confirmed: number; averted: number; false: number; unforeseen: number; precision: number | null; recall: number | null; median_lead_h: number | null }

const tickets = signal<Ticket[]>([]);
const record = signal<Score[]>([]);
const state = signal("open");

async function read(): Promise<void> {
  try {
    const found = await get<{ tickets: Ticket[]; record: Score[] }>(`/api/v1/tickets?state=${state.value}`);
    tickets.value = found.tickets;
    record.value = found.record;
  } catch (e) { why.value = (e as Error).message; }
}

/** What speaks for it, in one line. */
function told(x: Ticket): string {
  const e = x.evidence as Record<string, number | string | Titled>;
  if (x.kind === "threshold") return t("alm.out.trend", { level: num(Number(e.level), 2), perday: num(Number(e.per_day), 3), limit: num(Number(e.limit), 2), unit: String(e.unit ?? ""), days: Number(e.days) });
  if (x.kind === "silence") return t("alm.out.silent", { since: stamp(String(e.heard)), period: span(Number(e.period_s)) });
  if (x.kind === "northbound") return t("alm.out.lag", { behind: span(Number(e.behind_s)) });
  if (x.kind === "maintenance") return e.used === undefined ? t("alm.out.time", { since: stamp(String(e.since)) }) : t("alm.out.wear", { used: num(Number(e.used)), every: num(Number(e.every)), perday: num(Number(e.per_day), 1) });
  return "";
}

const share = (v: number | null) => (v === null ? "—" : `${num(v * 100, 0)} %`);

function Record() {
  return (
    <div class="scores">{record.value.map((r) => (
      <section aria-label={t(`alm.out.${r.kind}` as Key)}>
        <h3>{t(`alm.out.${r.kind}` as Key)}</h3>
        <dl><div><dt>{t("alm.out.precision")}</dt><dd>{share(r.precision)}</dd></div><div><dt>{t("alm.out.recall")}</dt><dd>{share(r.recall)}</dd></div><div><dt>{t("alm.out.lead")}</dt><dd>{r.median_lead_h === null ? "—" : t("alm.hours", { n: num(r.median_lead_h, 1) })}</dd></div></dl>
        <p class="muted small">{t("alm.out.counts", { confirmed: r.confirmed, averted: r.averted, wrong: r.false, unforeseen: r.unforeseen })}</p>
      </section>
    ))}</div>
  );
}

function Outcome({ of, onDone }: { of: Ticket; onDone: () => void }) {
  const [wrong, setWrong] = useState("");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    try { await post(`/api/v1/tickets/${of.id}/outcome`, { outcome: said.get("outcome"), note: said.get("note") || null, reading: said.get("reading") ? Number(said.get("reading")) : null }); await read(); onDone(); }
    catch (x) { setWrong((x as Error).message); }
  };
  return (
    <Dialog title={t("alm.out.outcome")} onClose={onDone}>
      <form class="form" onSubmit={go}>
        <p class="muted">{`${of.name ?? of.subscription ?? of.key} · ${told(of)}`}</p>
        <label class="field"><span>{t("alm.out.what")}</span><select name="outcome">{["confirmed", "averted", "false"].map((x) => <option value={x}>{t(`alm.out.is.${x}` as Key)}</option>)}</select></label>
        {of.kind === "maintenance" && <label class="field"><span>{t("alm.out.reading")}</span><input name="reading" type="number" step="any" /></label>}
        <label class="field"><span>{t("alm.out.note")}</span><input name="note" maxLength={500} /></label>
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onDone}>{t("acc.cancel")}</button><button class="btn main">{t("alm.out.save")}</button></div>
      </form>
    </Dialog>
  );
}

export function Outlook() {
  const [asking, setAsking] = useState<Ticket | null>(null);
  useEffect(() => { void read(); if (!rules.value.length) void readRules(); }, []);
  const handles = s.session.value.acts.includes("alarm.handle");
  const what = (x: Ticket): string => (x.rule ? tt(rules.value.find((r) => r.key === x.rule)?.title) || x.rule : tt(x.evidence.title as Titled | undefined) || t(`alm.out.${x.kind}` as Key));
  const columns: Column<Ticket>[] = [
    { key: "due", title: t("alm.out.due"), width: "180px", cell: (x) => <span class="what"><b>{stamp(x.due_at)}</b><span class="muted">{t("alm.out.between", { from: stamp(x.due_from).slice(5), to: stamp(x.due_to).slice(5) })}</span></span> },
    { key: "kind", title: t("alm.out.kind"), width: "110px", cell: (x) => t(`alm.out.${x.kind}` as Key) },
    { key: "what", title: t("alm.what"), cell: (x) => <span class="what"><b class="cut">{x.name ?? x.subscription ?? x.code}</b><span class="muted cut">{what(x)}</span></span> },
    { key: "why", title: t("alm.out.why"), cell: (x) => <span class="muted">{told(x)}</span> },
    { key: "sure", title: t("alm.out.sure"), number: true, width: "90px", cell: (x) => share(x.confidence) },
    { key: "act", title: "", width: "120px", cell: (x) => (x.state === "open" ? handles && <button class="btn" onClick={() => setAsking(x)}>{t("alm.out.outcome")}</button> : <span>{t(`alm.out.is.${x.state}` as Key)}</span>) },
  ];
  return (
    <div>
      <Record />
      <div class="asks"><div class="switch" role="group" aria-label={t("alm.state")}>{["open", "confirmed", "averted", "false", "all"].map((x) => <button aria-pressed={state.value === x} onClick={() => { state.value = x; void read(); }}>{t(`alm.out.is.${x}` as Key)}</button>)}</div></div>
      <Table columns={columns} rows={tickets.value} label={t("alm.tab.outlook")} empty={t("alm.out.none")} id={(x) => x.id} />
      {asking && <Outcome of={asking} onDone={() => setAsking(null)} />}
    </div>
  );
}
