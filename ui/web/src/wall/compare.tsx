/** The difference of two moments: what came, what went, what changed; in numbers and on the map. */
import { useEffect, useState } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { num, stamp } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import { get } from "../common/api";
import type { LonLat } from "../common/types";
import { flyTo } from "./mapview";
import { Head } from "./rail";
import * as s from "./store";
import * as w from "./toolstore";

const SPANS: [Key, number][] = [["compare.hour", 3600e3], ["compare.day", 86400e3], ["compare.week", 7 * 86400e3]];
const ZONE = "+08:00";

const local = (ms: number) => new Date(ms + 8 * 3600e3).toISOString().slice(0, 16);
const parse = (said: string) => Date.parse(`${said}:00${ZONE}`);

function Cases({ title, found }: { title: string; found: w.CaseDifference }) {
  const rows: [Key, w.Brief[], string][] = [["compare.opened", found.opened, "critical"], ["compare.ended", found.ended, "good"], ["compare.moved", found.moved, "minor"]];
  return (
    <>
      <h3>{title}<span class="muted">{num(found.before)} → {num(found.after)}</span></h3>
      {rows.map(([key, list, ink]) => list.length > 0 && (
        <details class="group">
          <summary><Icon name="chevron-right" size={14} /><i class="chip" style={{ background: `var(--${ink})` }} />{t(key)}<span class="grow" /><b>{num(list.length)}</b></summary>
          <ul class="mini">{list.slice(0, 60).map((one) => <li><button onClick={() => { s.openEvent(one.code); if (one.point[0] !== null) flyTo(one.point as LonLat); }}><Mark level={one.severity} size={12} /><span class="grow cut">{one.title}</span><span class="muted small">{one.code}</span></button></li>)}</ul>
        </details>
      ))}
    </>
  );
}

function Things({ d }: { d: w.Difference }) {
  if (!d.things.length) return null;
  return (
    <>
      <h3>{t("compare.things")}</h3>
      <table class="diff"><thead><tr><th scope="col"><span class="sr">{t("compare.kind")}</span></th><th scope="col">{t("compare.added")}</th><th scope="col">{t("compare.changed")}</th><th scope="col">{t("compare.removed")}</th></tr></thead>
        <tbody>{d.things.map((one) => <tr><th scope="row" class="cut">{tt(one.title)}</th><td class="good">{one.added ? `+${num(one.added)}` : ""}</td><td>{one.changed ? num(one.changed) : ""}</td><td class="bad">{one.removed ? `−${num(one.removed)}` : ""}</td></tr>)}</tbody>
      </table>
      {d.kinds_left_out > 0 && <p class="small muted">{t("compare.left", { n: d.kinds_left_out })}</p>}
    </>
  );
}

export function Compare() {
  const now = s.shownNow();
  const [from, setFrom] = useState(local(now - 86400e3));
  const [to, setTo] = useState(local(now));
  const [only, setOnly] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => () => { w.difference.value = null; }, []);
  const run = async (a: number, b: number) => {
    setBusy(true);
    const q = new URLSearchParams({ from: new Date(a).toISOString(), to: new Date(b).toISOString() });
    if (only && s.view.value) q.set("bbox", s.view.value.map((n) => n.toFixed(5)).join(","));
    await get<w.Difference>(`/api/v1/moments/difference?${q}`).then((d) => (w.difference.value = d), (why: Error) => s.tell(why.message));
    setBusy(false);
  };
  const span = (ms: number) => { const end = s.shownNow(); setFrom(local(end - ms)); setTo(local(end)); void run(end - ms, end); };
  const d = w.difference.value;
  return (
    <>
      <Head title={t("rail.compare")} />
      <form class="pad ask" onSubmit={(e) => { e.preventDefault(); void run(parse(from), parse(to)); }}>
        <div class="modes three">{SPANS.map(([key, ms]) => <button type="button" onClick={() => span(ms)}>{t(key)}</button>)}</div>
        <label class="field"><span>{t("compare.from")}</span><input type="datetime-local" value={from} onInput={(e) => setFrom(e.currentTarget.value)} /></label>
        <label class="field"><span>{t("compare.to")}</span><input type="datetime-local" value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
        <label class="check"><input type="checkbox" checked={only} onChange={(e) => setOnly(e.currentTarget.checked)} />{t("compare.view")}</label>
        <button class="btn main" disabled={busy || !(parse(from) < parse(to))}>{t(busy ? "panel.wait" : "compare.run")}</button>
      </form>
      {d && <div class="scroll pad"><p class="small muted">{stamp(d.from)} → {stamp(d.to)}</p><Cases title={t("events.title")} found={d.events} />{d.alarms && <Cases title={t("alarms.title")} found={d.alarms} />}<Things d={d} /></div>}
    </>
  );
}
