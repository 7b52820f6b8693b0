/** One event beside the list: where it stands, what may be done, who could go, what may be the same, how it came here. */
import { useEffect, useState } from "preact/hooks";
import { ActionForm, bare } from "../../common/actionform";
import { get } from "../../common/api";
import { called, km, num, span, stamp, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Provenance } from "../../common/provenance";
import type { Action, Event, Photo, Proposals, TimelineEntry, Titled } from "../../common/types";
import { severity } from "../../mapkit";
import * as s from "../state";
import { duplicates, outline, proposals } from "./detailmap";
import * as e from "./store";
import { Clock, sourceName } from "./table";
import type { Duplicate, Row } from "./types";
import { placed } from "../../common/places";

const FIRST = ["dispatch", "register", "close", "pass", "endorse", "grant", "answer", "restore"];
const FIELD = new Set(["accept", "arrive", "finish", "use", "ask_delay", "return", "supply"]);
const BAD = new Set(["reject", "filter", "recall", "refuse"]);

function Stages({ of }: { of: Row }) {
  return <ol class="stages" aria-label={tt(of.state_title)}>{[1, 2, 3, 4, 5, 6].map((n) => <li class={n < of.stage || of.stage === 6 ? "done" : n === of.stage ? "now" : ""} aria-current={n === of.stage ? "step" : undefined}><i />{t(`stage.${n}` as Key)}</li>)}</ol>;
}

function Who({ of }: { of: Row }) {
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState<string | null>(null);
  useEffect(() => {
    get<Proposals>(`/api/v1/events/${of.id}/proposals?limit=5`).then((data) => (proposals.value = { event: of.id, data, hot: data.crews[0]?.code ?? null }), (x: Error) => setWhy(x.message));
    return () => { proposals.value = null; };
  }, [of.id, of.version]);
  const p = proposals.value?.event === of.id ? proposals.value : null;
  const hot = (code: string) => p && (proposals.value = { ...p, hot: code });
  const send = async (crew: string) => { setBusy(crew); await e.act(of, "dispatch", { crew }); setBusy(null); };
  return (
    <section class="who">
      <h3>{t("dispatch.title")}{p && <span class="muted small">{t("dispatch.computed", { ms: num(Math.round(p.data.computed_ms)) })}</span>}</h3>
      {why && <p class="wrong small">{why}</p>}
      {!p && !why && <p class="muted small">{t("dispatch.wait")}…</p>}
      {p && !p.data.crews.length && <p class="muted">{t("dispatch.none")}</p>}
      <ul>{p?.data.crews.map((c) => (
        <li class={p.hot === c.code ? "on" : ""} onMouseEnter={() => hot(c.code)}>
          <span class="mins"><b>{c.travel_s === null ? "–" : Math.max(1, Math.round(c.travel_s / 60))}</b><span class="muted small">{t("dispatch.minutes")}</span></span>
          <span class="what"><b class="cut">{c.name}</b><span class="cut muted small">{[c.distance_m !== null ? km(c.distance_m) : "", ...c.reasons.map(tt)].filter(Boolean).join(" · ")}</span></span>
          <button class={`btn${p.hot === c.code ? " main" : ""}`} data-crew={c.code} disabled={busy !== null} aria-label={t("dispatch.here", { name: c.name })} onFocus={() => hot(c.code)} onClick={() => void send(c.code)}><Icon name="send" /></button>
        </li>
      ))}</ul>
      {!!p?.data.shortfall.length && <p class="muted small">{p.data.shortfall.map((l) => `${tt(l.title)} ${l.count}`).join(" · ")}</p>}
    </section>
  );
}

function Same({ of, onMerge }: { of: Row; onMerge: (d: Duplicate) => void }) {
  const [list, setList] = useState<Duplicate[]>([]);
  useEffect(() => {
    setList([]);
    get<Duplicate[] | { duplicates: Duplicate[] }>(`/api/v1/events/${of.id}/duplicates`).then((got) => { const found = Array.isArray(got) ? got : got.duplicates; setList(found); duplicates.value = found; }, () => undefined);
    return () => { duplicates.value = []; };
  }, [of.id]);
  const may = of.actions.some((a) => a.action === "merge");
  if (!list.length) return null;
  return (
    <section class="same"><h3>{t("evl.same")}</h3>
      <ul>{list.slice(0, 5).map((d) => (
        <li><b class="score" title={t("evl.same.score")}>{Math.round(d.score * 100)}</b>
          <span class="what"><button class="link cut" onClick={() => (e.open.value = d.code)}>{d.title ?? d.code}</button><span class="muted small">{[km(d.parts.distance_m), t("evl.same.hours", { s: span(Math.abs(d.parts.hours) * 3600) }), t("evl.same.text", { n: Math.round(d.parts.text * 100) })].join(" · ")}</span></span>
          {may && <button class="btn" data-merge={d.code} onClick={() => onMerge(d)}>{t("evl.merge")}</button>}</li>
      ))}</ul></section>
  );
}

function Photos({ photos }: { photos: Photo[] }) {
  if (!photos?.length) return null;
  return <ul class="photos">{photos.map((p) => <li><a href={p.url} target="_blank" rel="noopener"><img src={p.thumb || p.url} alt={t("event.photos")} loading="lazy" /></a></li>)}</ul>;
}

function Story({ of }: { of: Row }) {
  const [list, setList] = useState<TimelineEntry[]>([]);
  useEffect(() => { get<{ entries: TimelineEntry[] }>(`/api/v1/events/${of.id}/timeline`).then((r) => setList(r.entries), () => undefined); }, [of.id, of.version]);
  return (
    <section><h3>{t("event.timeline")}</h3>
      <ol class="story">{[...list].reverse().map((x) => (
        <li key={x.version}><time class="muted small" dateTime={x.at} title={stamp(x.at)}>{when(x.at)}</time><div><b>{tt(x.title) || x.action}</b> <span class="muted">{tt(x.actor_name as Titled) || x.actor}</span>{x.note && <p>{x.note}</p>}<Photos photos={x.photos} /></div></li>
      ))}</ol></section>
  );
}

function Tags({ of }: { of: Row }) {
  const [adding, setAdding] = useState(false);
  const add = async (x: SubmitEvent) => {
    x.preventDefault();
    const said = String(new FormData(x.currentTarget as HTMLFormElement).get("tag")).trim();
    setAdding(false);
    if (said) await e.tag([of.code], [said], []);
  };
  return (
    <div class="tags">{of.tags?.map((x) => <span class="tagchip">{x}<button aria-label={t("evl.tag.remove", { tag: x })} onClick={() => void e.tag([of.code], [], [x])}><Icon name="x" size={12} /></button></span>)}
      {adding ? <form onSubmit={add}><input name="tag" list="known-tags" maxLength={24} aria-label={t("evl.tag.add")} ref={(el) => el?.focus()} onBlur={(x) => x.currentTarget.form?.requestSubmit()} /></form>
        : <button class="tagchip add" data-do="tag" onClick={() => setAdding(true)}><Icon name="plus" size={12} />{t("evl.tag.add")}</button>}
      <datalist id="known-tags">{e.tags.value.map((x) => <option value={x.tag} />)}</datalist></div>
  );
}

export function Detail({ of }: { of: Row }) {
  const [asked, setAsked] = useState<{ action: Action; given?: Record<string, unknown> } | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => setAsked(null), [of.id, of.version]);
  const [whole, setWhole] = useState<Event | null>(null);
  useEffect(() => {
    let old = false;
    get<Event>(`/api/v1/events/${of.id}`).then((got) => { if (!old) { setWhole(got); outline.value = got.shape ?? null; } }, () => undefined);
    return () => { old = true; outline.value = null; };
  }, [of.id, of.version]);
  const list = of.actions.filter((a) => !FIELD.has(a.action) && a.action !== "merge" && a.action !== "review");
  const sends = list.find((a) => a.action === "dispatch");
  const rest = list.filter((a) => a !== sends);
  const first = sends ? null : rest.find((a) => FIRST.includes(a.action)) ?? rest[0];
  const merge = of.actions.find((a) => a.action === "merge");
  const go = async (a: Action) => { if (!bare(a)) return setAsked({ action: a }); setBusy(true); await e.act(of, a.action, {}); setBusy(false); };
  const facts: [string, string | null][] = [
    [t("event.address"), [placed(of.district_name), placed(of.street_name), of.address].filter(Boolean).join(" ") || null],
    [t("event.holder"), of.holder_name ?? of.holder ?? (of.stage < 3 ? t("event.nobody") : null)],
    [t("event.opened"), `${stamp(of.opened_at)} · ${sourceName(of.source)}${of.reporter ? ` · ${of.reporter}` : ""}`],
    [t("event.due.label"), of.due_at ? stamp(of.due_at) + (of.deadline_verified ? "" : ` · ${t("event.unverified")}`) : null],
  ];
  return (
    <article class="one" aria-label={called(of)} data-open={of.code}>
      <header><Mark level={of.severity} filled={of.stage < 3} size={18} /><div class="grow"><h2>{called(of)}</h2><p class="muted small">{of.code} · {tt(severity(of.severity).title)} · <Clock of={of} /></p></div>
        <button class="ghost" aria-label={t("event.close.card")} onClick={() => (e.open.value = null)}><Icon name="x" /></button></header>
      <Stages of={of} />
      {of.rule_fault && <p class="wrong" role="alert">{t("evl.fault", { rule: of.rule_fault.rule, why: of.rule_fault.why })}</p>}
      {asked ? <ActionForm key={asked.action.action} action={asked.action} given={asked.given} about={asked.given?.["master"] ? t("evl.merge.into", { code: String(asked.given["master"]) }) : undefined} onCancel={() => setAsked(null)} onSend={(p) => e.act(of, asked.action.action, p)} /> : <>
        {sends && of.point && <Who of={of} />}
        {rest.length > 0 && <div class="does">{[...(first ? [first] : []), ...rest.filter((a) => a !== first)].map((a) => <button class={`btn${a === first ? " main" : ""}${BAD.has(a.action) ? " bad" : ""}`} disabled={busy} data-action={a.action} onClick={() => void go(a)}>{tt(a.title)}</button>)}</div>}
      </>}
      <Provenance key={`${of.id}-${of.version}`} ev={whole?.version === of.version ? whole : of} act={(action, params) => e.act(of, action, params)} />
      {of.description && <p class="said-text">{of.description}</p>}
      <Photos photos={of.photos} />
      <Tags of={of} />
      <dl class="facts">{facts.filter(([, v]) => v).map(([k, v]) => <><dt>{k}</dt><dd>{v}</dd></>)}</dl>
      {merge && <Same of={of} onMerge={(d) => setAsked({ action: merge, given: { master: d.code, score: d.score, reason: t("evl.merge.why", { n: Math.round(d.score * 100) }) } })} />}
      <p class="outs"><a class="btn" href={`/wall?event=${encodeURIComponent(of.code)}${of.point ? `#m=16/${of.point[1].toFixed(5)}/${of.point[0].toFixed(5)}` : ""}`}><Icon name="map" />{t("evl.onwall")}</a>
        <a class="btn" href={`/console/events/${of.code}/replay`} onClick={(x) => { x.preventDefault(); s.go(`events/${of.code}/replay`); }}><Icon name="play" />{t("evl.replay")}</a>
        <a class="btn" href={`/api/v1/events/${of.id}/report.pdf`} target="_blank" rel="noopener"><Icon name="file-text" />{t("evl.pdf")}</a>
        <a class="btn" href={`/api/v1/events/${of.id}/archive.zip`}><Icon name="download" />{t("evl.zip")}</a></p>
      <Story of={of} />
    </article>
  );
}
