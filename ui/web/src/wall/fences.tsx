/** The panel of fences: draw an area, say whom it watches and when, see who would be in breach, and what stands. */
import { useEffect, useState } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { num } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import type { LonLat } from "../common/types";
import { ringOf, severity, type DrawMode } from "../mapkit";
import { severityToken } from "./fencelayer";
import * as f from "./fencestore";
import { clickHooks, fitBounds } from "./mapview";
import { Head } from "./rail";
import { setSideTab } from "./side";
import * as s from "./store";
import * as w from "./toolstore";

const failed = (why: Error) => s.tell(why.message);
const MODES: [DrawMode, string][] = [["polygon", "pentagon"], ["box", "square"], ["circle", "circle-dot"]];
const WEEK = [1, 2, 3, 4, 5, 6, 7];

function fresh(): f.FenceAsk {
  return { title: "", geometry: { type: "Polygon", coordinates: [] }, breach: "enter", minutes: 0, kinds: f.fenceKinds.value.slice(0, 1).map((k) => k.kind), codes: [], hours: null, level: 2, enabled: true };
}

/** In words: who must not do what, and when. */
export function saying(one: f.FenceAsk): string {
  const who = one.codes.length ? t("fence.codes.n", { n: one.codes.length }) : one.kinds.map((k) => tt(f.fenceKinds.value.find((x) => x.kind === k)?.title) || k).join(t("fence.and"));
  const what = one.breach === "stay" || one.minutes ? t(`fence.${one.breach}.minutes` as Key, { n: one.minutes }) : t(`fence.${one.breach}` as Key);
  const hours = one.hours ? ` · ${one.hours.from}–${one.hours.to}${one.hours.days.length < 7 ? ` ${one.hours.days.map((d) => t(`fence.day.${d}` as Key)).join("")}` : ""}` : "";
  return `${who} ${what}${hours}`;
}

function bounds(rings: LonLat[][]): [number, number, number, number] {
  const all = rings.flat();
  const [xs, ys] = [all.map((p) => p[0]), all.map((p) => p[1])];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function HoursField({ ask, set }: { ask: f.FenceAsk; set(next: Partial<f.FenceAsk>): void }) {
  const h = ask.hours;
  const turn = (d: number) => { const days = h!.days.includes(d) ? h!.days.filter((x) => x !== d) : [...h!.days, d].sort(); if (days.length) set({ hours: { ...h!, days } }); };
  return (
    <>
      <label class="check"><input type="checkbox" name="hours" checked={h !== null} onChange={(e) => set({ hours: e.currentTarget.checked ? { from: "22:00", to: "06:00", days: WEEK } : null })} />{t("fence.hours")}</label>
      {h && (
        <div class="fencehours">
          <input type="text" inputMode="numeric" pattern="([01][0-9]|2[0-3]):[0-5][0-9]" required aria-label={t("fence.from")} value={h.from} onInput={(e) => set({ hours: { ...h, from: e.currentTarget.value } })} /><span class="muted">–</span>
          <input type="text" inputMode="numeric" pattern="([01][0-9]|2[0-3]):[0-5][0-9]" required aria-label={t("fence.to")} value={h.to} onInput={(e) => set({ hours: { ...h, to: e.currentTarget.value } })} />
          <div class="week" role="group" aria-label={t("fence.days")}>{WEEK.map((d) => <button type="button" aria-pressed={h.days.includes(d)} class={h.days.includes(d) ? "on" : ""} onClick={() => turn(d)}>{t(`fence.day.${d}` as Key)}</button>)}</div>
        </div>
      )}
    </>
  );
}

function Watched({ ask, set }: { ask: f.FenceAsk; set(next: Partial<f.FenceAsk>): void }) {
  const turn = (kind: string) => set({ kinds: ask.kinds.includes(kind) ? ask.kinds.filter((k) => k !== kind) : [...ask.kinds, kind] });
  return (
    <>
      <fieldset class="watched"><legend class="small muted">{t("fence.kinds")}</legend>
        {f.fenceKinds.value.map((k) => <label class="check"><input type="checkbox" name={`kind-${k.kind}`} checked={ask.kinds.includes(k.kind)} onChange={() => turn(k.kind)} />{tt(k.title)}</label>)}
      </fieldset>
      <label class="field"><span>{t("fence.codes")}</span><input name="codes" placeholder={t("fence.codes.all")} maxLength={2000} value={ask.codes.join(" ")} onChange={(e) => set({ codes: e.currentTarget.value.split(/[\s,，、]+/).filter(Boolean).slice(0, 100) })} /></label>
    </>
  );
}

/** Who would be in breach now: drawn on the map as things that were found. */
function Try({ ask }: { ask: f.FenceAsk }) {
  const [said, setSaid] = useState<{ inside: number; now: f.Breaching[] } | null>(null);
  useEffect(() => {
    if (!ask.geometry.coordinates.length || !ask.kinds.length) return;
    const wait = window.setTimeout(() => f.tryFence({ ...ask, title: ask.title || "?" }).then((got) => {
      setSaid(got);
      w.found.value = { total: got.now.length, things: got.now.map((x, i) => ({ num: -1 - i, kind: x.kind, code: x.code, name: x.name, district_name: null, point: [x.lon, x.lat] })) };
    }, () => setSaid(null)), 400);
    return () => clearTimeout(wait);
  }, [JSON.stringify([ask.geometry, ask.breach, ask.kinds, ask.codes])]);
  useEffect(() => () => { w.found.value = null; }, []);
  if (!said) return null;
  return <p class="small fencetry" role="status">{t("fence.try", { n: num(said.now.length) })}{said.now.length > 0 && <span class="muted cut2">{said.now.slice(0, 6).map((x) => x.name || x.code).join(t("fence.and"))}</span>}</p>;
}

function Edit({ of, done }: { of: f.Fence | null; done(): void }) {
  const [ask, setAsk] = useState<f.FenceAsk>(() => of ?? fresh());
  const [mode, setMode] = useState<DrawMode | null>(of ? null : "polygon");
  const set = (next: Partial<f.FenceAsk>) => setAsk((was) => ({ ...was, ...next }));
  useEffect(() => {
    if (!mode) return;
    w.startDraw(mode, "fence", (points) => set({ geometry: { type: "Polygon", coordinates: [ringOf(points, mode)] } }), severityToken(ask.level));
    return w.stopDraw;
  }, [mode]);
  useEffect(() => { if (w.drawing.value) w.drawing.value = { ...w.drawing.value, ink: severityToken(ask.level) }; }, [ask.level]);
  const ready = ask.title.trim() !== "" && ask.geometry.coordinates.length > 0 && ask.kinds.length > 0 && (ask.breach !== "stay" || ask.minutes > 0);
  const save = (e: Event) => {
    e.preventDefault();
    const { title, geometry, breach, minutes, kinds, codes, among, hours, level, enabled } = ask;
    if (ready) f.saveFence({ title: title.trim(), geometry, breach, minutes, kinds, codes, ...(among ? { among } : {}), hours, level, enabled }, of ?? undefined).then(done, failed);
  };
  return (
    <form class="ask pad scroll fenceform" onSubmit={save}>
      <div class="modes three" role="toolbar" aria-label={t("fence.area")}>{MODES.map(([one, icon]) => <button type="button" data-mode={one} class={mode === one ? "on" : ""} onClick={() => { setMode(null); requestAnimationFrame(() => setMode(one)); }}><Icon name={icon} />{t(`draw.${one}` as Key)}</button>)}</div>
      <p class="small muted">{ask.geometry.coordinates.length ? t(of && !mode ? "fence.redraw" : "fence.drawn") : t(`draw.${mode ?? "polygon"}.hint` as Key)}</p>
      <label class="field"><span>{t("fence.name")}</span><input name="title" required maxLength={60} value={ask.title} onInput={(e) => set({ title: e.currentTarget.value })} /></label>
      <div class="modes three" role="radiogroup" aria-label={t("fence.breach")}>{f.BREACHES.map((one) => <button type="button" role="radio" aria-checked={ask.breach === one} data-breach={one} class={ask.breach === one ? "on" : ""} onClick={() => set({ breach: one, minutes: one === "stay" ? ask.minutes || 10 : one === "enter" ? 0 : ask.minutes })}>{t(`fence.${one}` as Key)}</button>)}</div>
      <label class="field row"><span>{t("fence.minutes")}</span><input type="number" name="minutes" min={ask.breach === "stay" ? 1 : 0} max={1440} value={ask.minutes} onInput={(e) => set({ minutes: Math.min(1440, Math.max(0, Math.round(Number(e.currentTarget.value) || 0))) })} /><span class="muted small">{t("fence.minutes.unit")}</span></label>
      <Watched ask={ask} set={set} />
      <HoursField ask={ask} set={set} />
      <fieldset class="sevs"><legend class="small muted">{t("fence.level")}</legend>
        {[1, 2, 3, 4].map((n) => <label class={ask.level === n ? "on" : ""}><input class="sr" type="radio" name="level" checked={ask.level === n} onChange={() => set({ level: n })} /><Mark level={n} />{tt(severity(n).title)}</label>)}
      </fieldset>
      <Try ask={ask} />
      <div class="buttons"><button type="button" class="btn" onClick={done}>{t("action.cancel")}</button><button class="btn main" disabled={!ready}>{t("fence.save")}</button></div>
    </form>
  );
}

function Row({ one, edit }: { one: f.Fence; edit(): void }) {
  const show = () => { f.chosenFence.value = one.id; fitBounds(bounds(f.ringsOf(one))); };
  const turn = () => f.saveFence({ ...one, enabled: !one.enabled }, one).catch(failed);
  return (
    <li class={`${f.chosenFence.value === one.id ? "on" : ""}${one.enabled ? "" : " off"}`} data-fence={one.id}>
      <button class="grow" onClick={show}>
        <Mark level={one.level} size={15} />
        <span class="grow cut"><span class="cut">{one.title}</span><span class="muted small cut">{one.enabled ? saying(one) : t("fence.off")}</span>{one.fault && <span class="bad small cut2">{one.fault}</span>}</span>
      </button>
      {one.standing > 0 && <button class="standingnow" title={t("fence.standing", { n: one.standing })} aria-label={t("fence.standing", { n: one.standing })} onClick={() => { show(); setSideTab("alarms"); }}>{num(one.standing)}</button>}
      {one.may_change && s.moment.value === null && (
        <>
          <button class="plain" aria-pressed={one.enabled} aria-label={t(one.enabled ? "fence.pause" : "fence.start")} title={t(one.enabled ? "fence.pause" : "fence.start")} onClick={() => void turn()}><Icon name={one.enabled ? "pause" : "play"} /></button>
          <button class="plain" aria-label={t("fence.edit")} title={t("fence.edit")} onClick={edit}><Icon name="pen-line" /></button>
          <button class="plain" aria-label={t("fence.remove")} title={t("fence.remove")} onClick={() => { if (confirm(t("fence.remove.sure", { name: one.title }))) f.removeFence(one.id).catch(failed); }}><Icon name="trash-2" /></button>
        </>
      )}
    </li>
  );
}

export function Fences() {
  const [editing, setEditing] = useState<f.Fence | "new" | null>(null);
  useEffect(() => {
    f.loadFences().catch(failed);
    const clicked = (_at: LonLat, key: string | null) => (f.chosenFence.value = key?.startsWith("fence.") ? key : null);
    clickHooks.add(clicked);
    return () => { clickHooks.delete(clicked); f.chosenFence.value = null; };
  }, []);
  const list = f.fences.value;
  return (
    <>
      <Head title={t("rail.fences")}><label class="small muted inview"><input type="checkbox" checked={f.fencesShown.value} onChange={(e) => (f.fencesShown.value = e.currentTarget.checked)} />{t("plot.visible")}</label></Head>
      {editing ? <Edit key={editing === "new" ? "new" : editing.id} of={editing === "new" ? null : editing} done={() => { w.stopDraw(); setEditing(null); }} /> : (
        <div class="scroll">
          {f.mayFence.value && s.moment.value === null && <div class="pad"><button class="btn" data-do="fence" onClick={() => setEditing("new")}><Icon name="plus" />{t("fence.new")}</button></div>}
          {!list.length && <p class="hint small muted">{t("fence.none")}</p>}
          <ul class="plots">{list.map((one) => <Row key={one.id} one={one} edit={() => setEditing(one)} />)}</ul>
        </div>
      )}
    </>
  );
}
