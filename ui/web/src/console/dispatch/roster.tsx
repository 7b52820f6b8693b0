/** Shifts of two weeks, and what is now true of each crew: rest, range, team, absence. */
import { useEffect, useState } from "preact/hooks";
import { get, send } from "../../common/api";
import { hm } from "../../common/format";
import { t, tt } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { Dialog } from "../parts/dialog";
import * as s from "../state";

interface Crew { code: string; name: string; district: string | null; skills: string[]; shift: string | null; team: string | null; resting_until: string | null; range_km: number | null; off_reason: string | null; load: number; on_shift: boolean; days: (string | null)[] }
interface Shown { days: { day: string; works: boolean }[]; shifts: { key: string; title: Titled; from: string; to: string }[]; crews: Crew[] }

export function Roster() {
  const [said, setSaid] = useState<Shown | null>(null);
  const [words, setWords] = useState("");
  const [open, setOpen] = useState<Crew | null>(null);
  const load = () => get<Shown>("/api/v1/dispatch/crews").then(setSaid, (e: Error) => s.tell(e.message, true));
  useEffect(() => { void load(); }, []);
  if (!said) return null;
  const keys = [...said.shifts.map((x) => x.key), "off"];
  const short = (key: string | null) => (key === "off" ? t("dsp.off.short") : key ? tt(said.shifts.find((x) => x.key === key)?.title).slice(0, 1) : "·");
  const turn = async (crew: Crew, i: number) => {
    const now = crew.days[i];
    const next = now === null ? keys.find((k) => k !== crew.shift)! : keys[keys.indexOf(now!) + 1] ?? null;
    try { await send("PUT", "/api/v1/dispatch/shifts", { shifts: [{ crew: crew.code, day: said.days[i]!.day, shift: next }] }); await load(); } catch (e) { s.tell((e as Error).message, true); }
  };
  const keep = async (e: SubmitEvent) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(f.get(name) ?? "").trim() || null;
    const rest = Number(f.get("rest"));
    try {
      await send("PATCH", `/api/v1/dispatch/crews/${open!.code}`, { team: text("team"), off_reason: text("off"), range_km: text("range") === null ? null : Number(text("range")), ...(rest >= 0 && f.get("rest") !== "" ? { resting_until: rest ? new Date(Date.now() + rest * 60e3).toISOString() : null } : {}) });
      setOpen(null);
      await load();
    } catch (x) { s.tell((x as Error).message, true); }
  };
  const list = said.crews.filter((c) => !words || `${c.name}${c.team ?? ""}${c.skills.join("")}`.includes(words));
  return (
    <div class="roster">
      <p class="tools"><input type="search" placeholder={t("dsp.roster.find")} aria-label={t("dsp.roster.find")} value={words} onInput={(e) => setWords(e.currentTarget.value)} /><span class="muted small">{said.shifts.map((x) => `${tt(x.title)} ${x.from}–${x.to}`).join(" · ")}</span></p>
      <div class="tablebox"><table class="table"><thead><tr><th scope="col">{t("dsp.crew")}</th>{said.days.map((d) => <th scope="col" class={d.works ? "" : "rests"}>{Number(d.day.slice(8))}</th>)}</tr></thead>
        <tbody>{list.slice(0, 150).map((c) => (
          <tr><th scope="row"><button class="what" onClick={() => setOpen(c)}><i class={`dot ${c.off_reason ? "bad" : c.resting_until && Date.parse(c.resting_until) > Date.now() ? "rest" : c.on_shift ? "on" : ""}`} /><span><b>{c.name}</b><span class="muted small"> {c.off_reason ?? (c.resting_until && Date.parse(c.resting_until) > Date.now() ? t("dsp.rests", { at: hm(c.resting_until) }) : [c.team, ...c.skills, c.load ? t("dispatch.busy", { n: c.load }) : ""].filter(Boolean).join(" · "))}</span></span></button></th>
            {c.days.map((d, i) => <td class={said.days[i]!.works ? "" : "rests"}><button class={`shift ${d ?? ""}${d ? " said" : ""}`} aria-label={`${c.name} ${said.days[i]!.day} ${short(d ?? c.shift)}`} onClick={() => void turn(c, i)}>{short(d ?? c.shift)}</button></td>)}</tr>))}</tbody></table></div>
      {open && <Dialog title={open.name} onClose={() => setOpen(null)}><form class="form" onSubmit={keep}>
        <label class="field"><span>{t("dsp.team")}</span><input name="team" maxLength={40} defaultValue={open.team ?? ""} /></label>
        <label class="field"><span>{t("dsp.range")}</span><input name="range" type="number" min={0} max={2000} defaultValue={open.range_km === null ? "" : String(open.range_km)} /></label>
        <label class="field"><span>{t("dsp.rest")}</span><input name="rest" type="number" min={0} max={720} /></label>
        <label class="field"><span>{t("dsp.off")}</span><input name="off" maxLength={120} defaultValue={open.off_reason ?? ""} /></label>
        <div class="ends"><button type="button" class="btn" onClick={() => setOpen(null)}>{t("action.cancel")}</button><button class="btn main">{t("dsp.keep")}</button></div></form></Dialog>}
    </div>
  );
}
