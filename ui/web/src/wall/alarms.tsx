/** Alarms: at most two hundred cards whatever rings; acknowledge, claim, raise, close; and the card of one. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { get, post } from "../common/api";
import { num, span, when } from "../common/format";
import { t, tt } from "../common/i18n";
import { severity } from "../mapkit";
import type { LonLat, Titled } from "../common/types";
import { act, acknowledgeAll, alarmByCode, alarms, cards, loadAlarms, setSound, sound, standing, type Alarm, type AlarmCard } from "./alarmstore";
import { CameraRows } from "./cameras";
import { flyTo } from "./mapview";
import { around } from "./selectpanel";
import { Answers, type Notice } from "./planparts";
import * as s from "./store";
import { camerasSeeing, type Camera } from "./toolstore";
import { placed } from "../common/places";

const failed = (why: Error) => s.tell(why.message);
const unfolded = signal<Set<string>>(new Set());

function open(a: Alarm): void {
  s.openAlarm(a.code);
  if (a.point) flyTo(a.point, 14.5);
}

function Row({ a, inner }: { a: Alarm; inner?: boolean }) {
  void s.clock.value;
  const on = s.selected.value?.type === "alarm" && s.selected.value.id === a.code;
  const rung = a.state === "rung";
  const many = a.members > 1 ? t("alarms.devices", { n: num(a.standing), m: num(a.members) }) : a.thing_name || a.thing || "";
  return (
    <li class={`alarm${on ? " on" : ""}${rung ? " rung" : ""}${inner ? " inner" : ""}`} data-alarm={a.code}>
      <button class="grow" onClick={() => open(a)} aria-current={on ? "true" : undefined}>
        <Mark level={a.severity} filled={rung} size={15} />
        <span class="what">
          <span class="line"><span class="cut title"><span class="sr">{tt(severity(a.severity).title)} </span>{tt(a.rule_title) || a.title}</span><span class={rung ? "small" : "small muted"}>{span((s.shownNow() - Date.parse(a.opened_at)) / 1000)}</span></span>
          <span class="line muted small"><span class="cut">{[placed(a.district_name), many].filter(Boolean).join(" · ")}</span><span class="state">{a.holder_name && !rung ? tt(a.holder_name) : tt(a.state_title)}</span></span>
        </span>
      </button>
      {rung && a.actions?.includes("acknowledge") !== false && s.session.value.acts.includes("alarm.handle") && s.moment.value === null && (
        <button class="btn ack" title={t("alarms.ack.title")} onClick={() => act(a.code, "acknowledge").catch(failed)}>{t("alarms.ack")}</button>
      )}
    </li>
  );
}

function Group({ card }: { card: AlarmCard }) {
  const openNow = unfolded.value.has(card.key);
  const first = card.alarms[0]!;
  const flip = () => { const next = new Set(unfolded.value); if (openNow) next.delete(card.key); else next.add(card.key); unfolded.value = next; };
  const title = card.key === "rest" ? t("alarms.rest") : tt(first.rule_title) || first.title;
  return (
    <>
      <li class={`alarm storm${card.ringing ? " rung" : ""}`} data-card={card.key}>
        <button class="grow" aria-expanded={openNow} onClick={flip}>
          <Mark level={card.severity} filled={card.ringing > 0} size={15} />
          <span class="what">
            <span class="line"><span class="cut title">{title}</span><b>{num(card.alarms.length)}</b></span>
            <span class="line muted small"><span class="cut">{[card.key === "rest" ? "" : placed(first.district_name), t("alarms.devices", { n: num(card.standing), m: num(card.members) })].filter(Boolean).join(" · ")}</span><span class="state">{t("alarms.storm")}</span></span>
          </span>
        </button>
        {card.ringing > 0 && s.session.value.acts.includes("alarm.handle") && s.moment.value === null && (
          <button class="btn ack" onClick={() => acknowledgeAll(card.alarms.filter((a) => a.state === "rung").map((a) => a.code)).catch(failed)}>{t("alarms.ackall", { n: num(card.ringing) })}</button>
        )}
      </li>
      {openNow && card.alarms.slice(0, 50).map((a) => <Row key={a.code} a={a} inner />)}
    </>
  );
}

export function AlarmList() {
  useEffect(() => { loadAlarms().catch(failed); }, [s.settled.value]);
  const list = s.moment.value === null ? cards.value : [];
  const ringing = alarms.value.filter((a) => a.state === "rung").length;
  const devices = standing.value.length;
  return (
    <section class="alarms" aria-label={t("alarms.title")}>
      <p class="sum small muted"><span>{t("alarms.sum", { n: num(ringing), m: num(devices) })}</span><span class="grow" />
        <button class="plain" aria-pressed={sound.value} aria-label={t(sound.value ? "alarms.mute" : "alarms.sound")} title={t(sound.value ? "alarms.mute" : "alarms.sound")} onClick={() => setSound(!sound.value)}><Icon name={sound.value ? "volume-2" : "volume-x"} size={18} /></button></p>
      <div class="scroll rowsfree" tabIndex={-1}>
        {s.moment.value !== null && <p class="empty muted">{t("alarms.past", { n: num(devices) })}</p>}
        {s.moment.value === null && !list.length && <p class="empty muted"><Icon name="check-check" size={20} />{t("alarms.none")}</p>}
        <ul>{list.map((c) => (c.alarms.length === 1 ? <Row key={c.key} a={c.alarms[0]!} /> : <Group key={c.key} card={c} />))}</ul>
      </div>
    </section>
  );
}

interface Detail extends Alarm {
  notices: Notice[];
  things: { code: string; name: string; kind: string; level: number; value: number | null; since: string; cleared_at: string | null; point: LonLat | null }[];
  story: { seq: number | null; at: string; actor: string; actor_name: Titled | null; title: Titled | null; note: string | null; members: number | null }[];
  action_titles: Record<string, { title: Titled; need: Record<string, { type: string; required?: boolean; title: Titled }> }>;
}

function Actions({ d, done }: { d: Detail; done(): void }) {
  const [ask, setAsk] = useState<string | null>(null);
  const [reason, setReason] = useState("");
  const run = (action: string, params: Record<string, unknown> = {}) => act(d.code, action, params).then(() => { setAsk(null); done(); }, failed);
  if (s.moment.value !== null || !d.actions?.length) return null;
  const raise = d.severity - 1;
  if (ask) return (
    <form class="ask" onSubmit={(e) => { e.preventDefault(); void run(ask, { reason }); }}>
      <label class="field"><span>{t("alarms.reason")}</span><textarea rows={2} value={reason} onInput={(e) => setReason(e.currentTarget.value)} /></label>
      <div class="buttons"><button type="button" class="btn" onClick={() => setAsk(null)}>{t("action.cancel")}</button><button class="btn main" disabled={!reason.trim()}>{tt(d.action_titles[ask]!.title)}</button></div>
    </form>
  );
  const silence = () => post("/api/v1/silences", { rule: d.rule, thing: d.thing, ends_at: new Date(Date.now() + 30 * 60e3).toISOString(), reason: t("alarms.silence.why") }).then(() => s.tell(t("alarms.silenced")), failed);
  const buttons: [string, string, () => void][] = d.actions.map((a) => [a, a === "level" ? t("alarms.raise", { n: tt(severity(raise).title) }) : a === "acknowledge" ? t("alarms.claim") : tt(d.action_titles[a]?.title),
    a === "level" ? () => void run(a, { level: raise }) : d.action_titles[a]?.need.reason ? () => setAsk(a) : () => void run(a)]);
  return (
    <div class="actions">
      {buttons.filter(([a]) => a !== "level" || raise >= 1).map(([a, title, go], i) => <button class={i === 0 ? "btn main" : "btn"} data-action={a} onClick={go}>{title}</button>)}
      {d.thing && <button class="btn" onClick={() => void silence()}>{t("alarms.silence")}</button>}
    </div>
  );
}

export function AlarmCard({ code }: { code: string }) {
  const [d, setDetail] = useState<Detail | null>(null);
  const [cameras, setCameras] = useState<Camera[]>([]);
  const live = alarmByCode(code);
  void alarms.value;
  const read = () => get<Detail>(`/api/v1/alarms/${encodeURIComponent(code)}`).then(setDetail, (why: Error) => { failed(why); s.closeCard(); });
  useEffect(() => { void read(); }, [code, live?.version]);
  const point = d?.point ?? null;
  useEffect(() => { if (point) camerasSeeing(point, 5).then(setCameras, () => setCameras([])); }, [d?.code]);
  if (!d || d.code !== code) return <div class="card" />;
  const value = d.value === null ? null : `${num(d.value)} ${tt(d.unit)}`;
  return (
    <article class="card" aria-label={tt(d.rule_title) || d.title}>
      <header>
        <Mark level={d.severity} filled={d.state === "rung"} size={18} />
        <div class="grow"><h2 class="cut2">{tt(d.rule_title) || d.title}</h2><p class="muted small">{d.code} · {tt(severity(d.severity).title)} · {tt(d.category_title)}</p></div>
        {d.point && <button class="plain" aria-label={t("event.fly")} title={t("event.fly")} onClick={() => flyTo(d.point!, 16)}><Icon name="locate-fixed" size={18} /></button>}
        <button class="plain" aria-label={t("event.close.card")} title="Esc" onClick={s.closeCard}><Icon name="x" size={18} /></button>
      </header>
      <div class="scroll">
        <p class="standing"><b>{tt(d.state_title)}</b>{value && <span><b class="big">{value}</b></span>}</p>
        <Actions d={d} done={() => void read()} />
        {d.advice && <p class="advice">{tt(d.advice)}</p>}
        <dl class="facts">
          <div><dt class="muted">{t("alarms.where")}</dt><dd>{[placed(d.district_name), placed(d.street_name)].filter(Boolean).join(" ") || "—"}</dd></div>
          <div><dt class="muted">{t("alarms.since")}</dt><dd>{when(d.since ?? d.opened_at)}</dd></div>
          <div><dt class="muted">{t("alarms.holder")}</dt><dd>{tt(d.holder_name) || t("event.nobody")}</dd></div>
          {d.event && <div><dt class="muted">{t("alarms.event")}</dt><dd><button class="link" onClick={() => s.openEvent(d.event!)}>{d.event}</button></dd></div>}
        </dl>
        {point && (
          <div class="actions">
            <button class="btn" onClick={() => around(point, 2000, ["crew", "vehicle"]).catch(failed)}><Icon name="users" />{t("alarms.crews")}</button>
            <button class="btn" onClick={() => around(point, 500, ["sensor", "camera"]).catch(failed)}><Icon name="radio" />{t("alarms.sensors")}</button>
          </div>
        )}
        <Answers notices={d.notices} active={!d.closed_at && s.moment.value === null} reached={(who) => void post(`/api/v1/alarms/${encodeURIComponent(d.code)}/answer`, { reached: who }).then(read, failed)} />
        <h3>{t("alarms.things")}<span class="muted">{num(d.things.length)}</span></h3>
        <ul class="mini">{d.things.slice(0, 40).map((one) => <li><button onClick={() => void s.openThing(one.code)}><Mark level={one.level} filled={!one.cleared_at} size={12} /><span class="grow cut">{one.name || one.code}</span><span class="muted small">{one.cleared_at ? t("alarms.cleared") : one.value === null ? "" : num(one.value)}</span></button></li>)}</ul>
        <h3>{t("camera.seeing")}</h3>
        {cameras.length ? <CameraRows cameras={cameras} /> : <p class="muted small">{t("camera.none")}</p>}
        <h3>{t("event.timeline")}</h3>
        <ol class="history">{[...d.story].reverse().slice(0, 40).map((one) => <li><time class="muted small">{when(one.at)}</time><div><b>{tt(one.title) || one.actor}</b> <span class="muted">{tt(one.actor_name) || one.actor}</span>{one.note && <p>{one.note}</p>}</div></li>)}</ol>
      </div>
    </article>
  );
}

export const ringingNow = (): number => alarms.value.filter((a) => a.state === "rung").length;
