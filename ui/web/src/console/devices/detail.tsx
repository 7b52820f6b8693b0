/** One device: where it is, what it says, what it said, what became of every message. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { hms, num, stamp, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Secret } from "../parts/dialog";
import { strong } from "../parts/strong";
import * as s from "../state";
import { Chart } from "./chart";
import { Battery, Closes, said, Stands, Value } from "./parts";
import { PlaceMap } from "./place";
import { Shadow } from "./shadow";
import { Bars, Crumb } from "./stats";
import { Trace } from "./trace";
import type { Full, Product, Reading, Series } from "./types";
import { placed } from "../../common/places";

const TABS = ["values", "control", "log", "ledger", "trace"] as const;
const SPANS = [1, 6, 24, 168, 720];
type Tab = (typeof TABS)[number];
interface LogEntry { at: string; what: "rejected" | "journal"; reason?: string; topic?: string; payload?: string; door?: string; class?: string; action?: string; actor?: string }
interface Alarm { code: string; title: string; rule_title: { zh: string; en: string } | null; severity: number; since: string | null; opened_at: string; closed_at: string | null; state_title: { zh: string; en: string } }

function Tile({ of, on, onClick }: { of: Reading; on: boolean; onClick: () => void }) {
  const inside = of.low !== null && of.high !== null && of.high > of.low && typeof of.value === "number";
  const share = inside ? Math.min(1, Math.max(0, (of.number - of.low!) / (of.high! - of.low!))) : null;
  return (
    <button class="tile" aria-pressed={on} onClick={onClick}>
      <span class="muted small cut">{tt(of.title)}</span>
      <b>{said(of)}{of.unit && <span class="unit">{tt(of.unit)}</span>}</b>
      <span class="muted small">{when(of.at)}</span>
      {share !== null && <span class="gauge" aria-hidden="true"><i style={{ width: `${share * 100}%` }} /></span>}
    </button>
  );
}

function Values({ of }: { of: Full }) {
  const [hours, setHours] = useState(6);
  const [chosen, setChosen] = useState<string[]>(() => of.values.slice(0, 2).map((v) => v.property));
  const [series, setSeries] = useState<Record<string, Series>>({});
  const path = `/api/v1/devices/${of.product}/${encodeURIComponent(of.device)}`;
  const heard = of.heard_at;
  useEffect(() => {
    if (!chosen.length && of.values.length) setChosen(of.values.slice(0, 2).map((v) => v.property));
  }, [of.values.length]);
  useEffect(() => {
    const from = encodeURIComponent(new Date(Date.now() - hours * 3600e3).toISOString());
    for (const name of chosen)
      get<Series>(`${path}/values?property=${name}&from=${from}`).then((f) => setSeries((old) => ({ ...old, [name]: f })), (why: Error) => s.tell(why.message, true));
  }, [hours, chosen.join(), heard]);
  const flip = (name: string) => setChosen((old) => (old.includes(name) ? old.filter((n) => n !== name) : [...old, name]));
  if (!of.values.length && !Object.keys(of.texts).length) return <p class="empty muted">{t("dev.values.none")}</p>;
  return (
    <>
      <div class="tiles">{of.values.map((v) => <Tile of={v} on={chosen.includes(v.property)} onClick={() => flip(v.property)} />)}
        {Object.entries(of.texts).map(([name, text]) => <div class="tile"><span class="muted small">{name}</span><b class="text">{text}</b></div>)}</div>
      <div class="asks">
        <div class="spans" role="group" aria-label={t("dev.span")}>{SPANS.map((h) => <button class="btn" aria-pressed={hours === h} onClick={() => setHours(h)}>{h < 48 ? t("span.h", { h }) : t("span.d", { d: h / 24 })}</button>)}</div>
        <a class="btn count" href={`${path}/values.csv?from=${encodeURIComponent(new Date(Date.now() - hours * 3600e3).toISOString())}`} download><Icon name="download" />CSV</a>
      </div>
      <div class="charts">{chosen.map((name) => series[name] && <Chart series={series[name]!} />)}</div>
    </>
  );
}

function Log({ of }: { of: Full }) {
  const [entries, setEntries] = useState<LogEntry[] | null>(null);
  useEffect(() => { get<{ entries: LogEntry[] }>(`/api/v1/devices/${of.product}/${encodeURIComponent(of.device)}/log`).then((f) => setEntries(f.entries), (why: Error) => s.tell(why.message, true)); }, [of.heard_at]);
  if (entries && !entries.length) return <p class="empty muted">{t("dev.log.none")}</p>;
  return (
    <ol class="log">
      {entries?.map((e) => (
        <li class={e.what}>
          <time class="muted" title={stamp(e.at)}>{when(e.at)}:{hms(e.at).slice(6)}</time>
          {e.what === "rejected" ? <div><b><Icon name="ban" size={14} />{t("dev.log.rejected")}</b> {e.reason}<code>{e.payload}</code></div> : <div><b>{t((`dev.log.${e.class === "thing" ? "thing" : e.action?.replace(".", "_")}`) as Key)}</b> <span class="muted">{e.action} · {e.actor}</span></div>}
        </li>
      ))}
    </ol>
  );
}

function Ledger({ of }: { of: Full }) {
  const sum = (key: "accepted" | "stored" | "rejected" | "duplicate") => of.ledger.reduce((n, h) => n + h[key], 0);
  const totals = { accepted: sum("accepted"), stored: sum("stored"), rejected: sum("rejected"), duplicate: sum("duplicate") };
  return (
    <>
      <dl class="equation"><div><dt>{t("dev.ledger.accepted")}</dt><dd>{num(totals.accepted)}</dd></div><span aria-hidden="true">=</span><div class="stored"><dt>{t("dev.ledger.stored")}</dt><dd>{num(totals.stored)}</dd></div><span aria-hidden="true">+</span><div class="duplicate"><dt>{t("dev.ledger.duplicate")}</dt><dd>{num(totals.duplicate)}</dd></div><span aria-hidden="true">+</span><div class="rejected"><dt>{t("dev.ledger.rejected")}</dt><dd>{num(totals.rejected)}</dd></div><Closes {...totals} /></dl>
      <Bars hours={of.ledger} span={24} />
    </>
  );
}

/** What stands at the device now: its alarms and predicted tickets, from the doors of rules. */
function Standing({ of }: { of: Full }) {
  const [alarms, setAlarms] = useState<Alarm[]>([]);
  useEffect(() => { get<{ alarms: Alarm[] }>(`/api/v1/alarms?thing=${encodeURIComponent(of.code)}&limit=5&state=open`).then((f) => setAlarms(f.alarms ?? []), () => setAlarms([])); }, [of.heard_at]);
  if (!alarms.length) return null;
  return (
    <ul class="alarms" aria-label={t("dev.alarms")}>{alarms.map((a) => (
      <li><Mark level={a.severity} /><a href={`/console/alarms/${a.code}`} onClick={(e) => { e.preventDefault(); s.go(`alarms/${a.code}`); }}>{tt(a.rule_title) || a.title}</a><span class="muted small">{tt(a.state_title)} · {when(a.since ?? a.opened_at)}</span></li>
    ))}</ul>
  );
}

export function Detail({ product, device }: { product: string; device: string }) {
  const [of, setOf] = useState<Full | null>(null);
  const [model, setModel] = useState<Product | null>(null);
  const [why, setWhy] = useState("");
  const [tab, setTab] = useState<Tab>("values");
  const [secret, setSecret] = useState("");
  const path = `/api/v1/devices/${product}/${encodeURIComponent(device)}`;
  const load = () => get<Full>(path).then(setOf, (e: Error) => setWhy(e.message));
  useEffect(() => {
    void load();
    get<Product>(`/api/v1/products/${product}`).then(setModel, () => undefined);
    const timer = setInterval(() => !document.hidden && void load(), 3_000);
    return () => clearInterval(timer);
  }, [path]);
  if (why && !of) return <div class="page dev"><Crumb here={device} /><p class="empty" role="alert">{why}</p></div>;
  if (!of) return <div class="page dev" aria-busy="true" />;
  const may = s.session.value.acts.includes("device.write");
  const revoke = async () => {
    try { await post(`${path}/revoke`, {}); s.tell(t("dev.revoked")); await load(); } catch (e) { s.tell((e as Error).message, true); }
  };
  const rotate = async () => {
    try { setSecret((await strong(() => post<{ password: string }>(`${path}/secret`, {}))).password); } catch (e) { s.tell((e as Error).message, true); }
  };
  const keys = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    setTab(TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!);
    ((e.currentTarget as HTMLElement).children[(TABS.indexOf(tab) + step + TABS.length) % TABS.length] as HTMLElement).focus();
  };
  return (
    <div class="page dev detail">
      <Crumb here={of.device} />
      <header class="head">
        <span class="badge"><Icon name={of.icon} size={22} /></span>
        <div class="grow"><h1>{of.name || of.device}</h1>
          <p class="muted"><a href={`/console/products/${of.product}`} onClick={(e) => { e.preventDefault(); s.go(`products/${of.product}`); }}>{tt(of.product_title) || of.product}</a> · <code>{of.device}</code> · {[placed(of.district_name), placed(of.street_name)].filter(Boolean).join(" ")}</p></div>
        <div class="acts">
          <a class="btn" href={`${path}/td`}>WoT TD</a>
          {may && <button class="btn" onClick={() => void rotate()}><Icon name="rotate-ccw" />{t("dev.rotate")}</button>}
          {may && of.state !== "revoked" && <button class="btn bad" onClick={() => void revoke()}><Icon name="ban" />{t("dev.revoke")}</button>}
        </div>
      </header>
      <div class="top">
        <dl class="facts">
          <div><dt>{t("dev.state")}</dt><dd><Stands state={of.state} heard={of.heard_at} /></dd></div>
          <div><dt>{t("dev.connected")}</dt><dd>{t(of.online ? "dev.online" : "dev.offline")}</dd></div>
          <div><dt>{t("dev.battery")}</dt><dd><Battery pct={of.battery_pct} /></dd></div>
          <div><dt>{t("dev.value")}</dt><dd class="big"><Value of={of.main} /></dd></div>
          <div><dt>{t("dev.thing")}</dt><dd><code>{of.code}</code></dd></div>
          <div><dt>{t("dev.firmware")}</dt><dd>{of.firmware || <span class="muted">—</span>}</dd></div>
          <Standing of={of} />
        </dl>
        <PlaceMap at={of.point} label={t("dev.map")} />
      </div>
      <div class="tabs" role="tablist" aria-label={t("dev.device")} onKeyDown={keys}>{TABS.map((k) => <button role="tab" id={`tab-${k}`} aria-selected={tab === k} aria-controls="tabpanel" tabIndex={tab === k ? 0 : -1} onClick={() => setTab(k)}>{t(`dev.tab.${k}`)}</button>)}</div>
      <div role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`} class="panel">
        {tab === "values" && <Values of={of} />}
        {tab === "control" && model && <Shadow of={of} model={model} />}
        {tab === "log" && <Log of={of} />}
        {tab === "ledger" && <Ledger of={of} />}
        {tab === "trace" && model && <Trace of={of} model={model} />}
      </div>
      {secret && <Secret title={t("dev.rotate")} about={t("dev.add.once")} value={secret} onClose={() => setSecret("")} />}
    </div>
  );
}
