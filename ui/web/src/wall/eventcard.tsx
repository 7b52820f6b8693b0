/** The card of one event: where it stands, what may be done now, who could go, and how it came here. */
import { useEffect, useState } from "preact/hooks";
import { ActionForm, bare } from "../common/actionform";
import { Icon, Mark } from "../common/icon";
import { get, post, Problem } from "../common/api";
import { km, num, when, called } from "../common/format";
import { severity } from "../mapkit";
import { t, tt, type Key } from "../common/i18n";
import { Provenance } from "../common/provenance";
import type { Action, Event, Photo, Proposals, TimelineEntry } from "../common/types";
import { flyTo } from "./mapview";
import { Due } from "./events";
import * as s from "./store";
import { placed } from "../common/places";

const ICONS: Record<string, string> = { assign: "building-2", transfer: "arrow-right", merge: "copy", filter: "filter", restore: "undo-2", unmerge: "undo-2", supervise: "megaphone", pass: "check", endorse: "check-check", grant: "check", refuse: "ban", ask: "info", answer: "check", register: "check", dispatch: "send", close: "check-check", rework: "rotate-ccw", reject: "ban", recall: "undo-2", return: "undo-2", accept: "check", finish: "check-check" };
/** The step that carries an event on, in the order in which it is looked for: dispatching accepts on the way. */
const FORWARD = ["dispatch", "register", "close", "pass", "endorse", "grant", "answer", "restore"];
/** What the desk does not do for a crew: it belongs to the phone. */
const FIELD_ONLY = new Set(["accept", "arrive", "finish", "return", "use", "ask_delay", "supply"]);

const BAD = new Set(["reject", "filter", "refuse"]);

async function act(ev: Event, action: string, params: Record<string, unknown>): Promise<boolean> {
  try {
    s.takeEvent(await post<Event>(`/api/v1/events/${ev.id}/actions/${action}`, { version: ev.version, ...params }));
    s.proposals.value = null;
    return true;
  } catch (why) {
    const conflict = why instanceof Problem && why.status === 409;
    s.tell(conflict ? t("action.conflict") : t("action.failed", { why: (why as Error).message }));
    if (conflict) s.takeEvent(await get<Event>(`/api/v1/events/${ev.id}`));
    return false;
  }
}

const SOURCES = new Set(["map", "open311", "patrol", "file", "hotline", "camera", "sensor"]);
export const sourceName = (source: string): string => (SOURCES.has(source) ? t(`source.${source}` as Key) : source);

function Stages({ ev }: { ev: Event }) {
  return (
    <ol class="stages" aria-label={tt(ev.state_title)}>
      {[1, 2, 3, 4, 5, 6].map((n) => (
        <li class={n < ev.stage || ev.stage === 6 ? "done" : n === ev.stage ? "now" : ""} aria-current={n === ev.stage ? "step" : undefined}><i />{t(`stage.${n}` as Key)}</li>
      ))}
    </ol>
  );
}

function Dispatch({ ev, done }: { ev: Event; done(): void }) {
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  useEffect(() => {
    get<Proposals>(`/api/v1/events/${ev.id}/proposals?limit=5`).then((data) => {
      s.proposals.value = { event: ev.id, data, hot: data.crews[0]?.code ?? null };
    }, (e: Error) => setWhy(e.message));
    return () => { s.proposals.value = null; };
  }, [ev.id]);
  const p = s.proposals.value?.event === ev.id ? s.proposals.value : null;
  const send = async (crew: string) => { setBusy(crew); if (await act(ev, "dispatch", { crew })) done(); setBusy(null); };
  return (
    <div class="dispatch">
      <h3>{t("dispatch.title")}<span class="muted small">{p ? t("dispatch.computed", { ms: num(Math.round(p.data.computed_ms)) }) : ""}</span></h3>
      {why && <p class="bad small">{t("error.load", { why })}</p>}
      {!p && !why && <p class="muted small">{t("dispatch.wait")}…</p>}
      {p && !p.data.crews.length && <p class="muted small">{t("dispatch.none")}</p>}
      <ul>
        {p?.data.crews.map((c) => (
          <li key={c.code} class={p.hot === c.code ? "on" : ""} onMouseEnter={() => (s.proposals.value = { ...p, hot: c.code })}>
            <span class="mins"><b>{c.travel_s === null ? "–" : Math.max(1, Math.round(c.travel_s / 60))}</b><span class="muted small">{t("dispatch.minutes")}</span></span>
            <span class="what"><span class="cut title">{c.name}</span><span class="cut muted small">{[c.distance_m !== null ? km(c.distance_m) : "", c.load ? t("dispatch.busy", { n: c.load }) : t("dispatch.free"), ...c.reasons.slice(0, 1).map(tt)].filter(Boolean).join(" · ")}</span></span>
            <button class={p.hot === c.code ? "btn main" : "btn"} data-crew={c.code} disabled={busy !== null} aria-label={t("dispatch.here", { name: c.name })} onFocus={() => (s.proposals.value = { ...p, hot: c.code })} onClick={() => void send(c.code)}><Icon name="send" /></button>
          </li>
        ))}
      </ul>
      {!!p?.data.shortfall.length && <p class="muted small">{p.data.shortfall.map((l) => `${tt(l.title)} ${l.count}`).join(" · ")}</p>}
      <button class="btn" onClick={done}>{t("action.cancel")}</button>
    </div>
  );
}

function Actions({ ev }: { ev: Event }) {
  const [open, setOpen] = useState<Action | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => setOpen(null), [ev.id, ev.version]);
  if (s.moment.value !== null) return null;
  const list = (ev.actions ?? []).filter((a) => !FIELD_ONLY.has(a.action) && a.action !== "review");
  if (open?.action === "dispatch") return <Dispatch ev={ev} done={() => setOpen(null)} />;
  if (open) return <ActionForm action={open} onCancel={() => setOpen(null)} onSend={(params) => act(ev, open.action, params)} />;
  if (!list.length) return null;
  // The step that carries the event on comes first and is the only filled button.
  const first = FORWARD.map((name) => list.find((a) => a.action === name)).find(Boolean) ?? list[0]!;
  const go = async (a: Action) => {
    if (a.action === "dispatch" || !bare(a)) return setOpen(a);
    setBusy(true);
    await act(ev, a.action, {});
    setBusy(false);
  };
  return (
    <div class="actions">
      {[first, ...list.filter((a) => a !== first)].map((a) => (
        <button class={`btn${a === first ? " main" : ""}${BAD.has(a.action) ? " bad" : ""}`} disabled={busy} data-action={a.action} onClick={() => void go(a)}><Icon name={ICONS[a.action] ?? "arrow-right"} />{tt(a.title)}</button>
      ))}
    </div>
  );
}

export function Photos({ photos }: { photos: Photo[] }) {
  if (!photos?.length) return null;
  return <ul class="photos">{photos.map((p) => <li><a href={p.url} target="_blank" rel="noopener"><img src={p.thumb || p.url} alt={t("event.photos")} loading="lazy" /></a></li>)}</ul>;
}

function Timeline({ ev }: { ev: Event }) {
  const [entries, setEntries] = useState<TimelineEntry[]>([]);
  useEffect(() => {
    let old = false;
    const at = s.moment.value;
    get<{ entries: TimelineEntry[] }>(`/api/v1/events/${ev.id}/timeline`).then((r) => { if (!old) setEntries(r.entries.filter((e) => at === null || Date.parse(e.at) <= at)); }, () => undefined);
    return () => { old = true; };
  }, [ev.id, ev.version, s.settled.value]);
  return (
    <ol class="history">
      {[...entries].reverse().map((e) => (
        <li key={`${e.version}-${e.at}`}>
          <time class="muted small">{when(e.at)}</time>
          <div><b>{tt(e.title)}</b> <span class="muted">{tt(e.actor_name) || e.actor}</span>{e.note && <p>{e.note}</p>}<Photos photos={e.photos} /></div>
        </li>
      ))}
    </ol>
  );
}

export function EventCard({ id }: { id: string }) {
  void [s.events.value, s.closedEvents.value];
  const [fetched, setFetched] = useState<Event | null>(null);
  const ev = s.eventById(id) ?? (fetched && (fetched.id === id || fetched.code === id) ? fetched : null);
  useEffect(() => {
    if (!s.eventById(id)) get<Event>(`/api/v1/events/${encodeURIComponent(id)}`).then((got) => { setFetched(got); if (got.id !== id) s.openEvent(got.id); s.takeEvent(got); }, (e: Error) => { s.tell(e.message); s.closeCard(); });
  }, [id]);
  // The list's copy may lack what only this caller may do: ask once for each version.
  useEffect(() => {
    if (ev && !ev.actions && s.moment.value === null) get<Event>(`/api/v1/events/${ev.id}`).then((got) => s.takeEvent(got), () => undefined);
  }, [ev?.id, ev?.version]);
  // Outline, visits and what was filled in stand only in the answer for one event.
  const [whole, setWhole] = useState<Event | null>(null);
  useEffect(() => {
    let old = false;
    if (ev && s.moment.value === null) get<Event>(`/api/v1/events/${ev.id}`).then((got) => { if (!old) { setWhole(got); s.outline.value = got.shape ?? null; } }, () => undefined);
    return () => { old = true; s.outline.value = null; };
  }, [ev?.id, ev?.version]);
  if (!ev) return <div class="card" />;
  const rows: [string, string | null][] = [
    [t("event.address"), [placed(ev.district_name), placed(ev.street_name), ev.address].filter(Boolean).join(" ") || null],
    [t("event.holder"), ev.holder_name ?? (ev.stage < 3 ? t("event.nobody") : null)],
    [t("event.opened"), `${when(ev.opened_at)} · ${sourceName(ev.source)}${ev.reporter ? ` · ${ev.reporter}` : ""}`],
    [t("event.due.label"), ev.due_at && ev.stage < 6 ? when(ev.due_at) + (ev.deadline_verified ? "" : ` · ${t("event.unverified")}`) : null],
  ];
  return (
    <article class="card" aria-label={called(ev)}>
      <header>
        <Mark level={ev.severity} filled={ev.stage < 3} size={18} />
        <div class="grow"><h2 class="cut2">{called(ev)}</h2><p class="muted small">{ev.code} · {tt(severity(ev.severity).title)}{called(ev) !== tt(ev.category_title) && ` · ${tt(ev.category_title)}`}</p></div>
        {ev.point && <button class="plain" aria-label={t("event.fly")} title={t("event.fly")} onClick={() => flyTo(ev.point!, 16)}><Icon name="locate-fixed" size={18} /></button>}
        <button class="plain" aria-label={t("event.close.card")} title="Esc" onClick={s.closeCard}><Icon name="x" size={18} /></button>
      </header>
      <div class="scroll">
        <Stages ev={ev} />
        <p class="standing"><b>{tt(ev.state_title)}</b><Due ev={ev} /></p>
        <Actions key={ev.id} ev={ev} />
        {s.moment.value === null && <Provenance key={`${ev.id}-${ev.version}`} ev={whole?.version === ev.version ? whole : ev} act={(action, params) => act(ev, action, params)} />}
        {ev.description && ev.description !== called(ev) && <p class="said">{ev.description}</p>}
        <dl class="facts">{rows.map(([k, v]) => v && <div><dt class="muted">{k}</dt><dd>{v}</dd></div>)}</dl>
        <Photos photos={ev.photos} />
        <h3>{t("event.timeline")}</h3>
        <Timeline ev={ev} />
      </div>
    </article>
  );
}
