/** The alarms: the loudest and newest first; one is looked at beside the list, many are acknowledged at once. */
import { useEffect, useState } from "preact/hooks";
import { post } from "../../common/api";
import { num, span, stamp, when } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { severity } from "../../mapkit";
import { Dialog } from "../parts/dialog";
import * as s from "../state";
import { alarms, asked, counts, open, picked, read, show, total, why } from "./store";
import type { Alarm, Detail } from "./types";
import { placed } from "../../common/places";

const EVERY_MS = 5000;
const HANDLES = () => s.session.value.acts.includes("alarm.handle");
const waits = (a: Alarm) => a.state === "rung" || a.state === "returned";

/** The level of an alarm: shape, colour and word. */
export function Level({ of, filled = true }: { of: number; filled?: boolean }) {
  return <span class="level"><Mark level={of} filled={filled} /><span>{tt(severity(of).title)}</span></span>;
}

async function acknowledge(codes: string[]): Promise<void> {
  try {
    const done = await post<{ acknowledged: string[]; left: string[] }>("/api/v1/alarms/acknowledge", { codes });
    s.tell(t("alm.acked", { n: done.acknowledged.length }));
    picked.value = new Set();
  } catch (e) { s.tell((e as Error).message, true); }
  await read();
}

function Loud() {
  const c = counts.value;
  if (!c) return null;
  const set = (level: number) => { asked.value = { ...asked.value, level: asked.value.level === level ? null : level }; void read(); };
  return (
    <div class="loud" role="group" aria-label={t("alm.by.level")}>
      {[1, 2, 3, 4].map((n) => (
        <button aria-pressed={asked.value.level === n} onClick={() => set(n)}><Level of={n} /><b>{c[`level${n}` as "level1"]}</b></button>
      ))}
    </div>
  );
}

function Act({ of, name, onDone }: { of: Detail; name: string; onDone: () => void }) {
  const { title, need } = of.action_titles[name]!;
  const field = Object.keys(need)[0];
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement).get("said");
    const body: Record<string, unknown> = { version: of.version };
    if (field && said) body[field] = field === "level" ? Number(said) : said;
    try {
      await post(`/api/v1/alarms/${of.code}/actions/${name}`, body);
      await Promise.all([read(), show(of.code)]);
      onDone();
    } catch (x) { s.tell((x as Error).message, true); onDone(); await read(); }
  };
  return (
    <Dialog title={tt(title)} onClose={onDone}>
      <form class="form" onSubmit={go}>
        {field && <label class="field"><span>{tt(need[field]!.title)}</span>{field === "level"
          ? <select name="said">{[1, 2, 3].filter((n) => n < of.severity).map((n) => <option value={n}>{tt(severity(n).title)}</option>)}</select>
          : <input name="said" maxLength={500} required={need[field]!.required} />}</label>}
        <div class="ends"><button type="button" class="btn" onClick={onDone}>{t("acc.cancel")}</button><button class="btn main">{tt(title)}</button></div>
      </form>
    </Dialog>
  );
}

function One({ of }: { of: Detail }) {
  const [act, setAct] = useState<string | null>(null);
  const value = (v: number | null) => (v === null ? "—" : `${num(v, 2)}${of.unit ? ` ${of.unit}` : ""}`);
  return (
    <aside class="one" aria-label={of.code}>
      <header><div><p class="small muted">{of.code}</p><h2>{of.title}</h2></div><button class="ghost" aria-label={t("event.close.card")} onClick={() => (open.value = null)}><Icon name="x" /></button></header>
      <p class="badges"><Level of={of.severity} filled={waits(of)} /><span class="tag">{tt(of.state_title)}</span>{of.holder_name && <span class="muted small">{tt(of.holder_name)}</span>}</p>
      {of.fault && <p class="wrong" role="alert">{t("alm.fault", { why: of.fault })}</p>}
      <dl class="facts">
        <dt>{t("alm.rule")}</dt><dd><a href={`/console/alarms/rules/${of.rule}`} onClick={(e) => { e.preventDefault(); s.go(`alarms/rules/${of.rule}`); }}>{tt(of.rule_title)}</a></dd>
        <dt>{t("alm.since")}</dt><dd>{stamp(of.since)}<span class="muted">{` · ${span((Date.now() - Date.parse(of.since)) / 1000)}`}</span></dd>
        <dt>{t("alm.place")}</dt><dd>{[placed(of.district_name), placed(of.street_name)].filter(Boolean).join(" ") || "—"}{of.point && <a class="there" href={`/wall#17/${of.point[1].toFixed(5)}/${of.point[0].toFixed(5)}`}><Icon name="map" size={14} />{t("alm.map")}</a>}</dd>
        {of.advice && <><dt>{t("alm.advice")}</dt><dd>{tt(of.advice)}</dd></>}
      </dl>
      {HANDLES() && of.actions.length > 0 && <div class="does">{of.actions.map((name, i) => <button class={`btn${i === 0 ? " main" : ""}`} onClick={() => (name === "acknowledge" || name === "confirm" ? void acknowledge([of.code]) : setAct(name))}>{tt(of.action_titles[name]!.title)}</button>)}</div>}
      <h3>{t("alm.things", { n: of.members, standing: of.standing })}</h3>
      <ul class="members">{of.things.slice(0, 60).map((m) => (
        <li class={m.cleared_at ? "over" : ""}><Mark level={m.level} filled={!m.cleared_at} size={12} /><a class="grow cut" href={`/console/devices/${m.code}`}>{m.name || m.code}</a><span class="number">{value(m.peak ?? m.value)}</span><time class="muted small" dateTime={m.raised_at}>{when(m.raised_at)}{m.cleared_at ? `–${when(m.cleared_at)}` : ""}</time></li>
      ))}</ul>
      <h3>{t("alm.story")}</h3>
      <ol class="story">{of.story.map((x) => (
        <li><time class="muted small" dateTime={x.at}>{stamp(x.at)}</time><span><b>{tt(x.title) || x.action}</b>{x.actor !== "system" && <span class="muted">{` ${tt(x.actor_name) || x.actor}`}</span>}{(x.action === "join" || x.action === "left") && <span class="muted">{` ${t("alm.standing", { n: x.standing ?? 0, all: x.members ?? 0 })}`}</span>}{x.note && <span>{` ${x.note}`}</span>}</span></li>
      ))}</ol>
      {act && <Act of={of} name={act} onDone={() => setAct(null)} />}
    </aside>
  );
}

function Row({ of }: { of: Alarm }) {
  const on = open.value?.code === of.code;
  const pick = () => { const next = new Set(picked.value); if (!next.delete(of.code)) next.add(of.code); picked.value = next; };
  const key = (e: KeyboardEvent) => {
    const row = e.currentTarget as HTMLElement;
    if (e.target !== row) return;
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); void show(of.code); }
    if (e.key === "ArrowDown") { e.preventDefault(); (row.nextElementSibling as HTMLElement | null)?.focus(); }
    if (e.key === "ArrowUp") { e.preventDefault(); (row.previousElementSibling as HTMLElement | null)?.focus(); }
    if (e.key === "a" && waits(of) && HANDLES()) void acknowledge([of.code]);
  };
  return (
    <tr data-id={of.code} tabIndex={0} class={on ? "on" : ""} onClick={() => void show(of.code)} onKeyDown={key}>
      {HANDLES() && <td class="pick" onClick={(e) => e.stopPropagation()}>{waits(of) && <input type="checkbox" aria-label={t("alm.pick", { code: of.code })} checked={picked.value.has(of.code)} onChange={pick} />}</td>}
      <td><Level of={of.severity} filled={waits(of)} /></td>
      <td><span class="what"><b class="cut">{tt(of.rule_title) || of.title}</b><span class="muted cut">{of.members > 1 ? t("alm.many", { n: of.members, standing: of.standing }) : of.thing_name}</span></span></td>
      <td class="number">{of.value === null ? "" : `${num(of.value, 1)}${of.unit ? ` ${of.unit}` : ""}`}</td>
      <td class="muted nowrap">{placed(of.district_name) ?? ""}</td>
      <td><span class={`stateword ${of.state}`}>{tt(of.state_title)}</span></td>
      <td class="nowrap"><time dateTime={of.opened_at} title={stamp(of.opened_at)}>{when(of.opened_at)}</time></td>
    </tr>
  );
}

export function List() {
  useEffect(() => {
    void read();
    const timer = setInterval(() => { if (!document.hidden) void read(); }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const set = (part: Partial<typeof asked.value>) => { asked.value = { ...asked.value, ...part }; open.value = null; void read(); };
  const many = [...picked.value].filter((code) => alarms.value.some((a) => a.code === code && waits(a)));
  return (
    <div class={`beside${open.value ? " with" : ""}`}>
      <div class="grow">
        <Loud />
        <div class="asks">
          <div class="switch" role="group" aria-label={t("alm.state")}>{(["open", "ringing", "closed", "all"] as const).map((x) => <button aria-pressed={asked.value.state === x} onClick={() => set({ state: x })}>{t(`alm.state.${x}` as Key)}</button>)}</div>
          {asked.value.rule && <button class="btn" onClick={() => set({ rule: "" })}>{asked.value.rule}<Icon name="x" size={14} /></button>}
          <span class="muted count" role="status">{t("alm.count", { n: total.value })}</span>
          {many.length > 0 && <button class="btn main" onClick={() => void acknowledge(many)}><Icon name="check" />{t("alm.ack.many", { n: many.length })}</button>}
        </div>
        {!alarms.value.length && !why.value ? <div class="empty muted calm"><Icon name="circle-check" size={24} /><p>{t(asked.value.state === "open" ? "alm.none" : "alm.none.such")}</p></div> : (
          <div class="tablebox" role="region" aria-label={t("alm.tab.list")} tabIndex={0}>
            <table class="table"><thead><tr>{HANDLES() && <th scope="col"><span class="sr">{t("alm.pick.all")}</span></th>}<th scope="col">{t("alm.level")}</th><th scope="col">{t("alm.what")}</th><th scope="col" class="number">{t("alm.value")}</th><th scope="col">{t("alm.district")}</th><th scope="col">{t("alm.state")}</th><th scope="col">{t("alm.at")}</th></tr></thead>
              <tbody>{alarms.value.map((a) => <Row key={a.code} of={a} />)}</tbody></table>
          </div>
        )}
      </div>
      {open.value && <One of={open.value} />}
    </div>
  );
}
