/** Quality of a kind: the score day by day, each rule with what fails it, the cases in hand, the failing things. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, when } from "../../common/format";
import { t, tt, type Key } from "../../common/i18n";
import { Table } from "../parts/table";
import * as s from "../state";
import { tone, Weight } from "./parts";
import type { Case, Detail, Failure, Rule } from "./types";

const PAGE = 100;

function Days({ scores }: { scores: Detail["scores"] }) {
  const days = [...scores].reverse();
  if (days.length < 2) return null;
  const low = Math.min(...days.map((d) => d.score), 90);
  const x = (i: number) => (i / (days.length - 1)) * 236 + 2;
  const y = (v: number) => 42 - ((v - low) / (100 - low || 1)) * 38;
  return (
    <figure class="days">
      <svg viewBox="0 0 240 46" width="240" height="46" role="img" aria-label={t("cat.days.label", { from: days[0]!.day, to: days.at(-1)!.day })}>
        <path d={days.map((d, i) => `${i ? "L" : "M"}${x(i)} ${y(d.score)}`).join("")} fill="none" stroke={`var(--${tone(days.at(-1)!.score)})`} stroke-width="2" />
      </svg>
      <figcaption class="muted small">{t("cat.days.caption", { n: days.length })}</figcaption>
    </figure>
  );
}

function Rules({ of, on, pick }: { of: Detail; on: string | null; pick: (id: string | null) => void }) {
  const bad = of.rules.filter((r) => r.failing).sort((a, b) => "ewi".indexOf(a.severity[0]!) - "ewi".indexOf(b.severity[0]!) || b.failing - a.failing);
  const good = of.rules.filter((r) => !r.failing);
  return (
    <div>
      {bad.length > 0 && <RuleTable rows={bad} on={on} pick={pick} />}
      {good.length > 0 && (
        <details class="passed" open={!bad.length}>
          <summary>{t("cat.passed", { n: good.length })}</summary>
          <RuleTable rows={good} on={on} pick={pick} />
        </details>
      )}
    </div>
  );
}

function RuleTable({ rows, on, pick }: { rows: Rule[]; on: string | null; pick: (id: string | null) => void }) {
  return (
    <Table label={t("cat.rules")} rows={rows} empty={t("cat.norules")} id={(r: Rule) => r.id} chosen={(r) => r.id === on} onOpen={rows[0]!.failing ? (r) => pick(r.id) : undefined} columns={[
      { key: "severity", title: t("cat.severity"), cell: (r) => <span class="sev"><Weight severity={r.severity} />{t(`cat.${r.severity}` as Key)}</span>, width: "92px" },
      { key: "title", title: t("cat.rule"), cell: (r) => <span title={r.expr ?? ""}>{tt(r.title)}</span> },
      { key: "check", title: t("cat.check"), cell: (r) => <span class="muted">{t(`cat.check.${r.check}` as Key)}</span> },
      { key: "failing", title: t("cat.failing"), number: true, cell: (r) => r.failing ? <b>{num(r.failing)}</b> : <span class="muted">0</span> },
      { key: "since", title: t("cat.since"), cell: (r) => <span class="muted nowrap">{r.since ? when(r.since) : ""}</span> },
    ]} />
  );
}

function Things({ of, rule }: { of: Detail; rule: string }) {
  const [rows, setRows] = useState<Failure[]>([]);
  const [next, setNext] = useState<number | null>(-1);
  const more = (after: number, before: Failure[]) =>
    get<{ failures: Failure[]; next: number | null }>(`/api/v1/catalogue/${of.kind}/failures?rule=${encodeURIComponent(rule)}&limit=${PAGE}&after=${after}`)
      .then((page) => { setRows([...before, ...page.failures]); setNext(page.next); }, (why: Error) => s.tell(why.message, true));
  useEffect(() => { setRows([]); void more(-1, []); }, [of.kind, rule]);
  const said = of.rules.find((r) => r.id === rule);
  return (
    <section aria-live="polite">
      <h2>{t("cat.failing.things")}<span class="muted small"> {said && tt(said.title)}</span></h2>
      <Table label={t("cat.failing.things")} rows={rows} empty={t("cat.loading")} id={(f) => String(f.num)} columns={[
        { key: "code", title: t("cat.code"), cell: (f) => f.code ? <a href={`/ogc/collections/${of.kind}/items/${f.code}/history`}>{f.code}</a> : <span class="muted">{t("cat.whole")}</span> },
        { key: "name", title: t("cat.thing"), cell: (f) => f.name || <span class="muted">—</span> },
        { key: "district", title: t("cat.district"), cell: (f) => f.district_name ?? <span class="muted">—</span> },
        { key: "detail", title: t("cat.detail"), cell: (f) => <span class="range">{f.detail || (f.lon !== null && f.lat !== null ? `${f.lon.toFixed(5)}, ${f.lat.toFixed(5)}` : "—")}</span> },
        { key: "since", title: t("cat.since"), cell: (f) => <span class="muted nowrap">{when(f.found_at)}</span> },
      ]} />
      {next !== null && rows.length > 0 && <p class="more"><button class="btn" onClick={() => void more(next, rows)}>{t("cat.more")}</button></p>}
    </section>
  );
}

function Cases({ cases, rules }: { cases: Case[]; rules: Rule[] }) {
  if (!cases.length) return null;
  return (
    <section>
      <h2>{t("cat.cases")}</h2>
      <Table label={t("cat.cases")} rows={cases} id={(c) => c.code} columns={[
        { key: "code", title: t("cat.case"), cell: (c) => <code>{c.code}</code> },
        { key: "rule", title: t("cat.rule"), cell: (c) => tt(rules.find((r) => r.id === c.rule)?.title) || c.rule },
        { key: "owner", title: t("cat.owner"), cell: (c) => tt(c.owner_title) || c.owner },
        { key: "failing", title: t("cat.failing"), number: true, cell: (c) => num(c.failing) },
        { key: "due", title: t("cat.due"), cell: (c) => <span class="nowrap">{c.due_at ? when(c.due_at) : "—"}</span> },
      ]} />
    </section>
  );
}

export function Quality({ of }: { of: Detail }) {
  const first = of.rules.find((r) => r.failing > 0)?.id ?? null;
  const [rule, setRule] = useState<string | null>(first);
  return (
    <div class="quality">
      <div class="summary">
        {(["error", "warn", "info"] as const).map((w) => <div><span class="muted small sev"><Weight severity={w} />{t(`cat.${w}` as Key)}</span><b class="big">{num(of.failures[w])}</b></div>)}
        <Days scores={of.scores} />
        <p class="muted small checked">{of.checked ? t("cat.checked", { at: when(of.checked.at) }) : t("cat.unchecked")}</p>
      </div>
      <Rules of={of} on={rule} pick={setRule} />
      <Cases cases={of.cases} rules={of.rules} />
      {rule && <Things of={of} rule={rule} />}
    </div>
  );
}
