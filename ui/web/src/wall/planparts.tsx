/** Parts of a response: how well plans fit a warning, who has answered and who must be called. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../common/api";
import { num, when } from "../common/format";
import { Icon } from "../common/icon";
import { t, tt, type Key } from "../common/i18n";
import type { Titled } from "../common/types";
import { Phone } from "../common/phone";
import * as s from "./store";
import "./command.css";

export interface Part { part: "type" | "level" | "place" | "season" | "readiness"; weight: number; value: number | null; said: unknown }
export interface Match { score: number; level: number | null; parts: Part[] }
export interface Ranked extends Match { plan: string; title: Titled; verified: boolean; response: string | null }
export interface Notice { key?: string; user: string | null; contact?: string | null; name: Titled | null; post?: string; unit?: string; step: string; at: string; acked_at: string | null; how?: string | null; by?: string }

/** What a part was reckoned from, in words. */
function spoken(part: Part): string {
  const said = part.said as Record<string, number> & { months?: number[] };
  if (part.value === null || part.said === null) return t("plan.part.nothing");
  if (part.part === "place") return t("plan.part.place.said", { d: said.districts ?? 0, of: said.of ?? 0, n: num(said.things ?? 0) });
  if (part.part === "readiness") return t("plan.part.readiness.said", { n: said.filled ?? 0, of: said.wanted ?? 0 });
  if (part.part === "season") return t("plan.part.season.said", { m: said.month ?? 0, months: (said.months ?? []).join("、") });
  return String(part.said);
}

export function Score({ of }: { of: Match }) {
  return (
    <ul class="score" aria-label={t("plan.match")}>{of.parts.map((p) => (
      <li key={p.part} data-part={p.part}>
        <span class="muted">{t(`plan.part.${p.part}` as Key)} <small>×{num(p.weight, 2)}</small></span>
        <span class="meter" role="img" aria-label={p.value === null ? t("plan.part.nothing") : `${num(100 * p.value)}%`}><i class={p.value === null ? "" : p.value >= 0.7 ? "good" : p.value >= 0.4 ? "warn" : "bad"} style={{ width: `${100 * (p.value ?? 0)}%` }} /></span>
        <span class="small cut" title={spoken(p)}>{spoken(p)}</span>
      </li>
    ))}</ul>
  );
}

/** The plans for a warning, the best fit first; a person chooses. */
export function Matching({ warning, choose, open }: { warning: string; choose: (plan: string, level: number) => void; open: (code: string) => void }) {
  const [found, setFound] = useState<Ranked[] | null>(null);
  useEffect(() => { get<{ plans: Ranked[] }>(`/api/v1/plans/match?warning=${encodeURIComponent(warning)}`).then((r) => setFound(r.plans), (e: Error) => s.tell(e.message)); }, [warning]);
  const may = s.session.value.acts.includes("alarm.handle");
  return (
    <div class="matching">
      <p class="muted small">{t("plan.match.about")}</p>
      {found?.map((one) => (
        <details key={one.plan} open={one === found[0] && one.score > 0} data-plan={one.plan}>
          <summary><Icon name="chevron-right" size={14} /><span class="grow cut">{tt(one.title)}</span><b class="num">{num(100 * one.score)}<small>%</small></b></summary>
          <Score of={one} />
          <div class="buttons">
            {one.response ? <button class="btn" onClick={() => open(one.response!)}>{t("plan.match.running", { code: one.response })}</button>
              : may && <button class="btn" data-choose={one.plan} onClick={() => choose(one.plan, one.level ?? 4)}>{t("plan.match.choose")}</button>}
          </div>
        </details>
      ))}
    </div>
  );
}

/** Who was told: the silent first, each with a telephone; whoever was reached by it is noted. */
export function Answers({ notices, active, reached }: { notices: Notice[]; active: boolean; reached: (who: string) => void }) {
  if (!notices.length) return null;
  const answered = notices.filter((n) => n.acked_at).length;
  const may = s.session.value.acts.includes("alarm.handle");
  const sorted = [...notices].sort((a, b) => Number(!!a.acked_at) - Number(!!b.acked_at));
  const how = (n: Notice) => (n.acked_at ? `${n.how === "phone" ? `${t("plan.by.phone")} ` : ""}${when(n.acked_at)}` : t("plan.waits"));
  return (
    <>
      <h3>{t("plan.answers")}<span class="muted">{answered} / {notices.length}</span></h3>
      <ul class="notices">{sorted.map((n) => {
        const key = n.key ?? `u:${n.user}`;
        return (
          <li key={`${key}${n.step}`} class={n.acked_at ? "good" : ""} data-notice={key}>
            <Icon name={n.acked_at ? "check-check" : "clock"} size={14} />
            <span class="grow"><span class="cut">{tt(n.name) || n.user}{n.step.startsWith("escalate") && <span class="tag late">{t("plan.escalated")}</span>}</span>{(n.post || n.unit) && <span class="muted small cut">{[n.post, n.unit].filter(Boolean).join(" · ")}</span>}</span>
            {!n.acked_at && active && n.contact && <Phone id={n.contact} masked="" may={may} tell={s.tell} />}
            {!n.acked_at && active && may && <button class="btn ack" data-reached={key} onClick={() => reached(key)}>{t("plan.reached")}</button>}
            <span class="small muted">{how(n)}</span>
          </li>
        );
      })}</ul>
    </>
  );
}
