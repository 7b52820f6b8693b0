/** The card of one thing: its fields with units, its events, its history; and the form to report something here. */
import { useEffect, useState } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { get, post } from "../common/api";
import { num, when, called } from "../common/format";
import { severity } from "../mapkit";
import { t, tt, type Key } from "../common/i18n";
import type { Event, Field, Thing, Version } from "../common/types";
import { flyTo } from "./mapview";
import { Due } from "./events";
import { Code, Records } from "./records";
import { Snapshot } from "./snapshot";
import * as s from "./store";
import { placed } from "../common/places";

function Value({ field }: { field: Field }) {
  const text = tt(field.text);
  if (field.ref) return <button class="link" onClick={() => s.openThing(field.ref!.code)}>{field.ref.name || field.ref.code}</button>;
  if (field.value === null || field.value === "") return <span class="muted">—</span>;
  if (typeof field.value === "boolean") return <>{t(field.value ? "value.yes" : "value.no")}</>;
  if (typeof field.value === "number") return <>{num(field.value)}{field.unit && <span class="unit">{tt(field.unit)}</span>}</>;
  return <>{text || String(field.value)}{field.unit && <span class="unit">{tt(field.unit)}</span>}</>;
}

function History({ th }: { th: Thing }) {
  const [list, setList] = useState<Version[] | null>(null);
  useEffect(() => {
    get<Version[] | { versions: Version[] }>(`/api/v1/things/${th.num}/history`).then((r) => setList(Array.isArray(r) ? r : r.versions), () => setList([]));
  }, [th.num, th.version]);
  if (!list?.length) return null;
  const short = (v: unknown) => { const text = v === null || v === undefined ? "—" : typeof v === "object" ? "…" : String(v); return text.length > 24 ? `${text.slice(0, 23)}…` : text; };
  return (
    <>
      <h3>{t("thing.history")}</h3>
      <ol class="history">
        {[...list].sort((a, b) => b.version - a.version).slice(0, 20).map((v) => (
          <li key={v.version}><time class="muted small">{when(v.at)}</time>
            <div><b>{t(`thing.action.${["insert", "update", "remove"].includes(v.action) ? v.action : "update"}` as Key)}</b> <span class="muted">{[tt(v.actor_name) || v.actor, t("thing.version", { n: v.version })].filter(Boolean).join(" · ")}</span>
              {v.action !== "insert" && v.changes.slice(0, 4).map((c) => <p class="small">{tt(c.title)}: <span class="muted">{short(c.before)} → </span>{short(c.after)}</p>)}</div></li>
        ))}
      </ol>
    </>
  );
}

export function ThingCard() {
  void s.clock.value;
  const th = s.thing.value;
  if (!th) return <div class="card" />;
  const place = [placed(th.district_name), placed(th.street_name)].filter(Boolean).join(" ");
  return (
    <article class="card" aria-label={th.name || th.code}>
      <header>
        <div class="grow"><h2 class="cut2">{th.name || tt(th.kind_title)}</h2><p class="muted small">{tt(th.kind_title)} · {th.code}{th.generated && ` · ${t("thing.generated")}`}</p></div>
        {th.point && <button class="plain" aria-label={t("event.fly")} title={t("event.fly")} onClick={() => flyTo(s.movers.where(th.num) ?? th.point!, 16)}><Icon name="locate-fixed" size={18} /></button>}
        <Code th={th} key={th.code} />
        <button class="plain" aria-label={t("event.close.card")} title="Esc" onClick={s.closeCard}><Icon name="x" size={18} /></button>
      </header>
      <div class="scroll">
        {th.kind === "camera" && <Snapshot key={th.code} code={th.code} name={th.name || th.code} />}
        {th.position && (
          <p class="standing"><span><b class="big">{num(Math.round(th.position.speed_kmh ?? 0))}</b><span class="unit">km/h</span></span><span class="muted small">{t("thing.seen")} {when(th.position.at)}</span></p>
        )}
        <dl class="facts">
          {place && <div><dt class="muted">{t("thing.place")}</dt><dd>{place}</dd></div>}
          {th.fields.filter((f) => f.value !== null && f.value !== "").map((f) => <div><dt class="muted">{tt(f.title)}</dt><dd><Value field={f} /></dd></div>)}
          <div><dt class="muted">{t("thing.updated")}</dt><dd>{when(th.updated_at)} <span class="muted">{t("thing.version", { n: th.version })}</span></dd></div>
        </dl>
        <h3>{t("thing.events")}</h3>
        {!th.events?.length && <p class="muted small">{t("thing.noevents")}</p>}
        <ul class="mini">{th.events?.map((ev) => <li><button onClick={() => s.openEvent(ev.id)}><Mark level={ev.severity} size={13} /><span class="grow cut">{called(ev)}</span><Due ev={ev} /></button></li>)}</ul>
        <Records th={th} />
        <History th={th} />
      </div>
    </article>
  );
}

export function ReportCard() {
  const at = s.reporting.value!;
  const [category, setCategory] = useState(s.categories.value[0]?.key ?? "");
  const [level, setLevel] = useState<number | null>(null);
  const [description, setDescription] = useState("");
  const [address, setAddress] = useState("");
  const [busy, setBusy] = useState(false);
  const chosen = s.categories.value.find((c) => c.key === category);
  const sev = level ?? chosen?.severity ?? 3;
  const send = async (e: SubmitEvent) => {
    e.preventDefault();
    setBusy(true);
    try {
      const ev = await post<Event>("/api/v1/events", { category, description, lon: at[0], lat: at[1], severity: sev, address: address || undefined, photos: [] });
      s.reporting.value = null;
      s.takeEvent(ev, true);
      s.openEvent(ev.id);
      s.tell(t("report.done", { code: ev.code }));
    } catch (why) {
      s.tell(t("action.failed", { why: (why as Error).message }));
    }
    setBusy(false);
  };
  return (
    <article class="card" aria-label={t("report.title")}>
      <header><div class="grow"><h2>{t("report.title")}</h2><p class="muted small">{at[0].toFixed(5)}, {at[1].toFixed(5)}</p></div><button class="plain" aria-label={t("event.close.card")} onClick={s.closeCard}><Icon name="x" size={18} /></button></header>
      <form class="scroll ask" onSubmit={send}>
        <label class="field"><span>{t("report.category")}</span><select name="category" value={category} ref={(el) => { if (el && !el.dataset.met) { el.dataset.met = "1"; el.focus(); } }} onChange={(e) => { setCategory(e.currentTarget.value); setLevel(null); }}>{s.categories.value.map((c) => <option value={c.key}>{tt(c.title)}</option>)}</select></label>
        <fieldset class="sevs"><legend class="muted small">{t("report.severity")}</legend>
          {[1, 2, 3, 4].map((n) => <label class={sev === n ? "on" : ""}><input class="sr" type="radio" name="severity" checked={sev === n} onChange={() => setLevel(n)} /><Mark level={n} />{tt(severity(n).title)}</label>)}
        </fieldset>
        <label class="field"><span>{t("report.description")}</span><textarea name="description" rows={3} required value={description} onInput={(e) => setDescription(e.currentTarget.value)} /></label>
        <label class="field"><span>{t("report.address")}</span><input name="address" value={address} onInput={(e) => setAddress(e.currentTarget.value)} /></label>
        <div class="buttons"><button type="button" class="btn" onClick={s.closeCard}>{t("action.cancel")}</button><button class="btn main" disabled={busy || !description.trim()}>{busy ? t("action.sending") : t("report.send")}</button></div>
      </form>
    </article>
  );
}
