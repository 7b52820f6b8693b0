/** Supervision: what is overdue, repeated, reopened or complained about; asked with one click, answered below. */
import { useEffect, useState } from "preact/hooks";
import { ActionForm } from "../../common/actionform";
import { get, post } from "../../common/api";
import { called, num, stamp, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import type { Action, Titled } from "../../common/types";
import { Dialog } from "../parts/dialog";
import { Clock } from "../events/table";
import type { Row } from "../events/types";
import * as s from "../state";
import { placed } from "../../common/places";

type Worth = Row & { reasons: string[]; asked: number };
type Running = Row & { about: string | null; about_title: string | null; replies: { note: string }[]; why: string | null };
interface Said { worth: Worth[]; counts: Record<string, number>; running: Running[] }
const REASONS = ["overdue", "repeated", "reopened", "complained"];

export function Supervision() {
  const [said, setSaid] = useState<Said | null>(null);
  const [only, setOnly] = useState("");
  const [asked, setAsked] = useState<{ row: Row; action: Action } | null>(null);
  const load = () => get<Said>("/api/v1/supervision").then(setSaid, (e: Error) => s.tell(e.message, true));
  useEffect(() => { void load(); const timer = setInterval(() => { if (!document.hidden) void load(); }, 8000); return () => clearInterval(timer); }, []);
  if (!said) return null;
  const act = async (row: Row, action: string, params: Record<string, unknown>) => { try { await post(`/api/v1/events/${row.id}/actions/${action}`, { version: row.version, ...params }); await load(); return true; } catch (e) { s.tell((e as Error).message, true); return false; } };
  const list = said.worth.filter((w) => !only || w.reasons.includes(only));
  return (
    <div class="superv">
      <div class="asks"><div class="switch" role="group" aria-label={t("eff.reason")}>{REASONS.map((r) => <button aria-pressed={only === r} onClick={() => setOnly(only === r ? "" : r)}>{t(`eff.reason.${r}` as Key)} <b>{num(said.counts[r] ?? 0)}</b></button>)}</div></div>
      <div class="two">
        <section><h2>{t("eff.worth")}<span class="muted small">{num(list.length)}</span></h2>
          <ul class="lines">{list.slice(0, 120).map((w) => { const a = w.actions.find((x) => x.action === "supervise"); return (
            <li data-code={w.code}><Mark level={w.severity} filled={w.stage < 3} /><span class="what"><a href={`/console/events/${w.code}`} onClick={(e) => { e.preventDefault(); s.go(`events/${w.code}`); }}>{called(w)}</a><span class="muted small">{[placed(w.district_name), w.holder_name ?? w.holder, tt(w.state_title)].filter(Boolean).join(" · ")}</span></span>
              <span class="tags">{w.reasons.map((r) => <span class="tagchip">{t(`eff.reason.${r}` as Key)}</span>)}</span><Clock of={w} />
              {w.asked ? <span class="muted small nowrap">{t("eff.asked", { n: w.asked })}</span> : a && <button class="btn" data-supervise={w.code} onClick={() => setAsked({ row: w, action: a })}><Icon name="megaphone" />{tt(a.title)}</button>}</li>); })}
            {!list.length && <li class="muted">{t("eff.worth.none")}</li>}</ul></section>
        <section><h2>{t("eff.running")}<span class="muted small">{num(said.running.length)}</span></h2>
          <ul class="lines">{said.running.map((r) => (
            <li data-code={r.code}><span class="what"><b>{r.about_title ?? r.title}</b><span class="muted small">{tt(r.category_title)} · {when(r.opened_at)}{r.why && ` · ${r.why}`}</span>
              {r.replies.map((x) => <span class="reply">{x.note}</span>)}</span>
              <span class="stateword" title={stamp(r.entered_at)}>{tt(r.state_title as Titled)}</span><Clock of={r} />
              <span class="acts">{r.actions.map((a) => <button class="btn" data-action={a.action} onClick={() => (a.need.length ? setAsked({ row: r, action: a }) : void act(r, a.action, {}))}>{tt(a.title)}</button>)}</span></li>))}
            {!said.running.length && <li class="muted">{t("eff.running.none")}</li>}</ul></section>
      </div>
      {asked && <Dialog title={`${tt(asked.action.title)} · ${called(asked.row)}`} onClose={() => setAsked(null)}><ActionForm action={asked.action} onCancel={() => setAsked(null)} onSend={(p) => act(asked.row, asked.action.action, p)} /></Dialog>}
    </div>
  );
}
