/** The rules: what rings and when; a rule is tried over the past before it is published. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Level } from "./list";
import { asked, readRules, rules } from "./store";
import type { Rule, Trial } from "./types";

const text = signal("");
const DAYS = [1, 7, 30, 90];
const WORDS = ["above", "below", "is"];

/** A condition in one line: 满溢度 > 85 … */
export function condition(r: Rule): string {
  if (typeof r.when === "string") return r.when;
  const w = r.when as Record<string, unknown>;
  const sign: Record<string, string> = { above: ">", below: "<", is: "=" };
  const word = WORDS.find((x) => x in w);
  const head = [w.of, w.property ?? w.type].filter((x) => typeof x === "string").join(" ");
  const over = ["over", "after", "longer"].filter((x) => x in w).map((x) => String(w[x])).join(" ");
  const reach = "within_m" in w ? `${w.within_m} m` : "";
  return [t(`alm.form.${r.form}` as Key), head, word ? `${sign[word]} ${String(w[word])}` : "", over, reach].filter(Boolean).join(" ");
}

function Bars({ of }: { of: Trial["by_day"] }) {
  const top = Math.max(1, ...of.map((d) => d.alarms));
  const label = of.map((d) => `${d.day}: ${d.alarms}`).join(", ");
  return <div class="bars" role="img" aria-label={label}>{of.map((d) => <i style={{ height: `${Math.max(2, (d.alarms / top) * 100)}%` }} class={d.alarms ? "" : "none"} title={`${d.day} · ${d.alarms}`} />)}</div>;
}

function Result({ of }: { of: Trial }) {
  return (
    <section class="trial" aria-label={t("alm.trial")}>
      <p><b class="big">{num(of.alarms)}</b>{t("alm.trial.told", { perday: num(of.per_day, 1), things: of.devices_with_alarms, devices: of.devices, values: num(of.values) })}{of.median_minutes !== null && ` ${t("alm.trial.lasts", { m: num(of.median_minutes, 0) })}`}{of.cut && <b class="warn">{` ${t("alm.trial.cut")}`}</b>}</p>
      <Bars of={of.by_day} />
      <ul class="members">{of.found.slice(0, 12).map((f) => <li><span class="grow cut">{f.name || f.code}</span><span class="number">{f.peak === null ? "" : num(f.peak, 1)}</span><time class="muted small">{stamp(f.raised_at)}{f.cleared_at ? ` – ${stamp(f.cleared_at)}` : ` – ${t("alm.still")}`}</time></li>)}</ul>
    </section>
  );
}

function Editor({ of, onClose }: { of: Rule; onClose: () => void }) {
  const writes = s.session.value.acts.includes("rule.write");
  const [days, setDays] = useState(7);
  const [trial, setTrial] = useState<Trial | null>(null);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => { text.value = JSON.stringify(of.doc, null, 2); setTrial(null); setWrong(""); }, [of.key, of.version]);
  const doing = async (what: (doc: Record<string, unknown>) => Promise<void>) => {
    setBusy(true);
    try { await what(JSON.parse(text.value) as Record<string, unknown>); setWrong(""); }
    catch (e) { setWrong((e as Error).message); }
    setBusy(false);
  };
  const attempt = () => doing(async (rule) => { setTrial(await post<Trial>("/api/v1/rules/simulate", { rule, from: new Date(Date.now() - days * 864e5).toISOString(), to: new Date().toISOString() })); });
  const publish = () => doing(async (rule) => {
    const done = await send<{ version: number | null; changed: boolean }>("PUT", `/api/v1/rules/${of.key}`, rule);
    s.tell(t(done.changed ? "alm.published" : "alm.same", { v: done.version ?? of.version }));
    await readRules();
  });
  const turn = async () => { try { await post(`/api/v1/rules/${of.key}/enabled`, { enabled: !of.enabled }); await readRules(); } catch (e) { s.tell((e as Error).message, true); } };
  return (
    <aside class="one" aria-label={tt(of.title)}>
      <header><div><p class="small muted"><code>{of.key}</code>{` · v${of.version} · ${t(of.origin === "local" ? "alm.local" : "alm.shipped")}`}</p><h2>{tt(of.title)}</h2></div><button class="ghost" aria-label={t("event.close.card")} onClick={onClose}><Icon name="x" /></button></header>
      <p class="badges"><Level of={of.level} />{!of.enabled && <span class="tag">{t("alm.off")}</span>}<span class="muted">{condition(of)}</span></p>
      {of.fault && <p class="wrong" role="alert">{t("alm.fault", { why: of.fault })}</p>}
      <label class="field"><span>{t("alm.doc")}</span><textarea class="code" rows={18} spellcheck={false} readOnly={!writes} value={text.value} onInput={(e) => (text.value = e.currentTarget.value)} /></label>
      {wrong && <p class="wrong" role="alert">{wrong}</p>}
      {writes && <div class="does">
        {of.can_simulate && <><label><span class="sr">{t("alm.trial.days")}</span><select value={days} onChange={(e) => setDays(Number(e.currentTarget.value))}>{DAYS.map((n) => <option value={n}>{t("alm.days", { n })}</option>)}</select></label>
          <button class="btn" disabled={busy} onClick={() => void attempt()}><Icon name="history" />{t("alm.try")}</button></>}
        <button class="btn main" disabled={busy} onClick={() => void publish()}>{t("alm.publish")}</button>
        <button class="btn" disabled={busy} onClick={() => void turn()}>{t(of.enabled ? "alm.turn.off" : "alm.turn.on")}</button>
      </div>}
      {!of.can_simulate && <p class="muted small">{t("alm.trial.not")}</p>}
      {trial && <Result of={trial} />}
    </aside>
  );
}

export function Rules() {
  useEffect(() => { void readRules(); }, []);
  const [, , key = ""] = s.path.value.split("/");
  const chosen = rules.value.find((r) => r.key === key);
  const columns: Column<Rule>[] = [
    { key: "level", title: t("alm.level"), width: "90px", cell: (r) => <Level of={r.level} filled={r.enabled} /> },
    { key: "title", title: t("alm.rule"), cell: (r) => <span class="what"><b>{tt(r.title)}</b><span class="muted cut">{condition(r)}</span></span> },
    { key: "about", title: t("alm.product"), cell: (r) => <code class="nowrap">{r.product ?? r.kind}</code> },
    { key: "standing", title: t("alm.rings"), number: true, width: "90px", cell: (r) => (r.standing ? <button class="link" onClick={(e) => { e.stopPropagation(); asked.value = { state: "open", level: null, rule: r.key }; s.go("alarms/list"); }}>{r.standing}</button> : <span class="muted">0</span>) },
    { key: "week", title: t("alm.week"), number: true, width: "90px", cell: (r) => r.week },
    { key: "state", title: t("alm.state"), width: "120px", cell: (r) => (r.fault ? <span class="warn"><Icon name="triangle-alert" size={14} />{t("alm.faulty")}</span> : r.enabled ? <span class="yes"><Icon name="check" size={14} />{t("alm.on")}</span> : <span class="muted">{t("alm.off")}</span>) },
  ];
  return (
    <div class={`beside${chosen ? " with" : ""}`}>
      <div class="grow"><Table columns={columns} rows={rules.value} label={t("alm.tab.rules")} empty={t("alm.rules.none")} id={(r) => r.key} onOpen={(r) => s.go(`alarms/rules/${r.key}`)} chosen={(r) => r.key === key} /></div>
      {chosen && <Editor of={chosen} onClose={() => s.go("alarms/rules")} />}
    </div>
  );
}
