/** A recount asked for by a person: which days, why, how far it is, what it changed; and those of before. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { num, stamp } from "../../common/format";
import { t } from "../../common/i18n";
import * as s from "../state";

interface Kept { at: string; by: string; done: boolean; from: string; to: string; reason: string; changed?: number; days?: number; job: number }
interface Job { state: "waiting" | "running" | "done" | "failed"; progress: number | null; error: string | null; result: { changed: number; days: number } | null }

/** Today where the city is, whatever clock the browser keeps. */
const today = () => new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date());
const before = (days: number) => new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date(Date.now() - days * 86_400_000));

export function Recount({ of, after }: { of: string; after: () => void }) {
  const [kept, setKept] = useState<Kept[]>([]);
  const [from, setFrom] = useState(before(30));
  const [to, setTo] = useState(today());
  const [reason, setReason] = useState("");
  const [job, setJob] = useState<{ id: number; said: Job } | null>(null);
  const may = s.session.value.acts.includes("policy.write");
  const read = () => get<{ recounts: Kept[] }>(`/api/v1/indicators/${of}/recounts`).then((k) => setKept(k.recounts.filter((r) => r.done)), (e: Error) => s.tell(e.message, true));
  useEffect(() => { void read(); }, [of]);
  useEffect(() => {
    if (!job || job.said.state === "done" || job.said.state === "failed") return undefined;
    const timer = setTimeout(() => get<Job>(`/api/v1/jobs/${job.id}`).then((said) => {
      setJob({ id: job.id, said });
      if (said.state === "done") { void read(); after(); }
    }, (e: Error) => s.tell(e.message, true)), 700);
    return () => clearTimeout(timer);
  }, [job]);
  const ask = async (e: Event) => {
    e.preventDefault();
    try {
      const made = await post<{ job: number }>(`/api/v1/indicators/${of}/recount`, { from, to, reason });
      setJob({ id: made.job, said: { state: "waiting", progress: 0, error: null, result: null } });
      setReason("");
    } catch (why) { s.tell((why as Error).message, true); }
  };
  const busy = job !== null && (job.said.state === "waiting" || job.said.state === "running");
  return (
    <section class="recount">
      <h2>{t("ind.recount")}</h2>
      {may && (
        <form class="asks" onSubmit={ask}>
          <label>{t("ind.recount.from")} <input type="date" name="from" value={from} min={before(400)} max={to} required onInput={(e) => setFrom(e.currentTarget.value)} /></label>
          <label>{t("ind.recount.to")} <input type="date" name="to" value={to} min={from} max={today()} required onInput={(e) => setTo(e.currentTarget.value)} /></label>
          <label class="grow">{t("ind.recount.reason")} <input name="reason" value={reason} minLength={2} maxLength={300} required onInput={(e) => setReason(e.currentTarget.value)} /></label>
          <button class="btn main" disabled={busy}>{t("ind.recount.ask")}</button>
        </form>
      )}
      {job && <p role="status" data-recount={job.said.state}>
        {busy && <><progress max={1} value={job.said.progress ?? 0} aria-label={t("ind.recount")} /> {t("ind.recount.busy", { p: num(100 * (job.said.progress ?? 0)) })}</>}
        {job.said.state === "done" && t("ind.recount.done", { n: num(job.said.result?.changed ?? 0), days: num(job.said.result?.days ?? 0) })}
        {job.said.state === "failed" && t("ind.recount.failed", { why: job.said.error ?? "" })}
      </p>}
      {kept.length > 0 && <ul class="plain kept">{kept.slice(0, 8).map((r) => <li key={r.job}><span class="muted num">{stamp(r.at)}</span> {r.by} · {r.from} – {r.to} · {r.reason} · {t("ind.recount.changed", { n: num(r.changed ?? 0) })}</li>)}</ul>}
    </section>
  );
}
