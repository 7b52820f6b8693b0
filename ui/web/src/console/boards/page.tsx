/** Boards composed without code: which indicators, in which order, how they look; previewed with live figures and on the map. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../../common/api";
import { BoardBody, PARTS, type CardSaid, type Indicator } from "../../common/board";
import "../../common/board.css";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import { amounts, Choropleth, quantiles, type Area, type Scale } from "../parts/choropleth";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/head";
import * as s from "../state";
import "./boards.css";
import * as b from "./store";

const ICONS = ["layout-dashboard", "trees", "tree-pine", "recycle", "store", "lightbulb", "tent", "star", "activity", "flame", "waves", "truck", "users", "landmark", "target", "gauge"];
const LOOKS = ["number", "trend", "ranking"] as const;
const failed = (why: Error) => s.tell(why.message, true);

function Rail() {
  return (
    <nav class="boardlist" aria-label={t("boards.title")}>
      <ul>{b.list.value.map((one) => (
        <li><a href={`/console/boards/${one.key}`} aria-current={b.draft.value?.key === one.key ? "page" : undefined} onClick={(e) => { e.preventDefault(); s.go(`boards/${one.key}`); }}><span class="cut">{tt(one.title)}</span><span class="small muted">v{one.version}</span></a></li>
      ))}</ul>
      {b.mayWrite() && <button class="btn" data-do="new-board" onClick={() => { s.go("boards"); b.start(); }}><Icon name="plus" />{t("boards.new")}</button>}
    </nav>
  );
}

/** The card that is dragged, by its place. */
let dragged: number | null = null;

function CardRow({ card, i }: { card: CardSaid; i: number }) {
  const { cards } = b.draft.value!;
  const one = b.known.value.find((x) => x.key === card.indicator);
  const put = (part: Partial<CardSaid>) => b.put({ cards: cards.map((c, at) => (at === i ? { ...c, ...part } : c)) });
  const fault = [...b.faults.value.faults, ...b.faults.value.warnings].find((f) => f.path[0] === "cards" && f.path[1] === i);
  const name = tt(card.title) || tt(one?.title) || card.indicator;
  const write = b.mayWrite();
  return (
    <li class={b.shown.value === card.indicator ? "on" : ""} data-card-row={card.indicator} draggable={write} onDragStart={() => (dragged = i)} onDragOver={(e) => e.preventDefault()} onDrop={(e) => { e.preventDefault(); if (dragged !== null) b.put({ cards: b.moved(cards, dragged, i) }); dragged = null; }}>
      <button class="grow name" aria-pressed={b.shown.value === card.indicator} title={t("boards.onmap")} onClick={() => (b.shown.value = card.indicator)}><span class="cut">{name}</span><span class="small muted cut">{card.indicator}{one && one.target !== null ? ` · ${t("board.target", { n: num(one.target) })}` : ""}</span>{fault && <span class="small warn cut2">{fault.path[2] === "thresholds" ? t("boards.notarget") : fault.why}</span>}</button>
      <label class="sr" for={`look-${i}`}>{t("boards.look")}</label>
      <select id={`look-${i}`} disabled={!write} value={card.look ?? "number"} onChange={(e) => put({ look: e.currentTarget.value as CardSaid["look"] })}>{LOOKS.map((l) => <option value={l}>{t(`boards.look.${l}` as Key)}</option>)}</select>
      <label class="tick" title={t(one && one.target === null ? "boards.notarget" : "boards.thresholds")}><input type="checkbox" disabled={!write || one?.target === null} checked={!!card.thresholds} onChange={(e) => put({ thresholds: e.currentTarget.checked })} />{t("boards.thresholds.short")}</label>
      <label class="tick" title={t("boards.wide")}><input type="checkbox" disabled={!write} checked={!!card.wide} onChange={(e) => put({ wide: e.currentTarget.checked })} />{t("boards.wide.short")}</label>
      {write && (
        <span class="moves">
          <button class="ghost" disabled={i === 0} aria-label={`${t("boards.up")} ${name}`} onClick={() => b.put({ cards: b.moved(cards, i, i - 1) })}><Icon name="chevron-up" /></button>
          <button class="ghost" disabled={i === cards.length - 1} aria-label={`${t("boards.down")} ${name}`} onClick={() => b.put({ cards: b.moved(cards, i, i + 1) })}><Icon name="chevron-down" /></button>
          <button class="ghost" aria-label={`${t("boards.remove")} ${name}`} onClick={() => b.put({ cards: cards.filter((_, at) => at !== i) })}><Icon name="x" /></button>
        </span>
      )}
    </li>
  );
}

/** Every indicator that has no card yet, sought by its name or key. */
function Add() {
  const [sought, setSought] = useState("");
  const have = new Set(b.draft.value!.cards.map((c) => c.indicator));
  const words = sought.trim().toLowerCase();
  const found = b.known.value.filter((one) => !have.has(one.key) && (!words || `${one.key} ${one.title.zh} ${one.title.en}`.toLowerCase().includes(words)));
  const near = (one: Indicator) => Number(!one.key.startsWith(`${b.draft.value!.topic}.`));
  const rows = [...found].sort((x, y) => near(x) - near(y)).slice(0, 40);
  return (
    <div class="add">
      <label class="field"><span>{t("boards.add")}</span><input type="search" name="seek" placeholder={t("boards.seek", { n: num(b.known.value.length) })} value={sought} onInput={(e) => setSought(e.currentTarget.value)} /></label>
      <ul>{rows.map((one) => <li><button data-add={one.key} onClick={() => b.addCard(one)}><Icon name="plus" size={14} /><span class="grow cut">{tt(one.title)}</span><span class="small muted">{one.value === null ? "—" : num(one.value)} {tt(one.unit)}</span></button></li>)}</ul>
    </div>
  );
}

function Parts() {
  const { parts } = b.draft.value!;
  const rest = PARTS.filter((one) => !parts.includes(one));
  const write = b.mayWrite();
  return (
    <ol class="parts">
      {parts.map((one, i) => (
        <li><label class="grow tick"><input type="checkbox" disabled={!write} checked onChange={() => b.turnPart(one)} />{t(`boards.part.${one}`)}</label>
          {write && <span class="moves"><button class="ghost" disabled={i === 0} aria-label={`${t("boards.up")} ${t(`boards.part.${one}`)}`} onClick={() => b.put({ parts: b.moved(parts, i, i - 1) })}><Icon name="chevron-up" /></button><button class="ghost" disabled={i === parts.length - 1} aria-label={`${t("boards.down")} ${t(`boards.part.${one}`)}`} onClick={() => b.put({ parts: b.moved(parts, i, i + 1) })}><Icon name="chevron-down" /></button></span>}</li>
      ))}
      {rest.map((one) => <li><label class="grow tick muted"><input type="checkbox" disabled={!write} checked={false} onChange={() => b.turnPart(one)} />{t(`boards.part.${one}`)}</label></li>)}
    </ol>
  );
}

function Form() {
  const d = b.draft.value!;
  const write = b.mayWrite();
  const general = b.faults.value.faults.filter((f) => f.path[0] !== "cards");
  return (
    <section class="composer" aria-label={t("boards.compose")}>
      <div class="names">
        <label class="field"><span>{t("boards.name.zh")}</span><input name="zh" maxLength={60} disabled={!write} value={d.title.zh} onInput={(e) => b.put({ title: { ...d.title, zh: e.currentTarget.value } })} /></label>
        <label class="field"><span>{t("boards.name.en")}</span><input name="en" maxLength={60} disabled={!write} value={d.title.en} onInput={(e) => b.put({ title: { ...d.title, en: e.currentTarget.value } })} /></label>
        <label class="field"><span>{t("boards.topic")}</span><select name="topic" disabled={!write} value={d.topic} onChange={(e) => b.put({ topic: e.currentTarget.value })}>{b.TOPICS.map((one) => <option value={one}>{t(`topic.${one}` as Key)}</option>)}</select></label>
      </div>
      <div class="icons" role="radiogroup" aria-label={t("boards.icon")}>{ICONS.map((one) => <button role="radio" aria-checked={d.icon === one} aria-label={one} disabled={!write} class={d.icon === one ? "on" : ""} onClick={() => b.put({ icon: one })}><Icon name={one} size={18} /></button>)}</div>
      {general.map((f) => <p class="small bad">{f.why}</p>)}
      <h2>{t("boards.cards")}<span class="small muted">{num(d.cards.length)} / 24</span></h2>
      {!d.cards.length && <p class="muted small">{t("boards.cards.none")}</p>}
      <ol class="cardrows">{d.cards.map((card, i) => <CardRow key={card.indicator} card={card} i={i} />)}</ol>
      {write && d.cards.length < 24 && <Add />}
      <h2>{t("boards.parts")}</h2>
      <Parts />
    </section>
  );
}

interface Place { code: string; name: string; value: number | null }

/** The chosen card over the districts. */
function OnMap() {
  const key = b.shown.value;
  const one = b.known.value.find((x) => x.key === key);
  const [shapes, setShapes] = useState<Area<Place>[] | null>(null);
  useEffect(() => {
    setShapes(null);
    if (key) get<GeoJSON.FeatureCollection>(`/api/v1/indicators/${encodeURIComponent(key)}/map`).then((f) => setShapes(f.features as unknown as Area<Place>[]), failed);
  }, [key]);
  const scale = useMemo<Scale<Place>>(() => ({
    value: (p) => p.value, edges: quantiles((shapes ?? []).map((f) => f.properties.value)), shades: amounts, written: (v) => (v === null ? "—" : num(v)), bound: (v) => num(v), unit: tt(one?.unit) || t("ind.value"),
  }), [shapes, one, lang.value]);
  return <figure class="onmap"><figcaption><b>{tt(one?.title) || t("boards.nomap")}</b><span class="small muted">{t("boards.map.by")}</span></figcaption><Choropleth shapes={shapes} scale={scale} label={t("ind.map.label", { title: tt(one?.title) })} /></figure>;
}

function Preview() {
  const [night, setNight] = useState(true);
  const d = b.draft.value!;
  return (
    <section class="preview" aria-label={t("boards.preview")}>
      <div class="looks"><h2 class="grow">{t("boards.preview")}</h2>
        <button class="btn" aria-pressed={night} onClick={() => setNight(!night)}><Icon name={night ? "moon" : "sun"} />{t(night ? "boards.night" : "boards.day")}</button>
        <a class="btn" href={`/wall?panel=topic&topic=${encodeURIComponent(d.key)}`}><Icon name="map" />{t("boards.wall")}</a><a class="btn" href={`/board?topic=${encodeURIComponent(d.key)}`}><Icon name="smartphone" />{t("boards.phone")}</a></div>
      <div class="both">
        <div class="sheet drawer-like" data-theme={night ? "night" : "day"} inert><h3 class="sheetname"><Icon name={d.icon ?? "layout-dashboard"} size={18} />{tt(d.title)}</h3><BoardBody b={b.board.value} layout={d} indicators={b.figures.value} hooks={{ open: () => undefined }} /></div>
        <OnMap />
      </div>
    </section>
  );
}

function Publish({ onClose }: { onClose(): void }) {
  const [note, setNote] = useState("");
  return (
    <Dialog title={t("pol.publish")} onClose={onClose}>
      <form class="form" onSubmit={async (e) => { e.preventDefault(); if (await b.publish(note)) onClose(); }}>
        <p>{t("pol.publish.about")}</p>
        <label class="field"><span>{t("pol.note")}</span><textarea rows={2} maxLength={1000} required value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("action.cancel")}</button><button class="btn main" data-do="really" disabled={!note.trim()}>{t("pol.publish")}</button></div>
      </form>
    </Dialog>
  );
}

function Versions() {
  if (!b.versions.value.length) return null;
  return (
    <details class="menu"><summary class="btn"><Icon name="history" />{t("pol.version", { v: b.versions.value[0]!.version })}</summary>
      <ul class="pop versions">{b.versions.value.map((v) => <li><button class="what" onClick={() => b.open(b.draft.value!.key, v.version).catch(failed)}><b>v{v.version}</b><span class="muted small">{stamp(v.at)} · {v.by}</span>{v.note && <span class="small">{v.note}</span>}</button></li>)}</ul></details>
  );
}

export default function Boards() {
  const [publishing, setPublishing] = useState(false);
  const asked = s.path.value.split("/")[1];
  useEffect(() => { Promise.all([b.loadList(), b.loadKnown()]).then(() => { if (!asked && !b.draft.value && b.list.value[0]) s.go(`boards/${b.list.value[0].key}`); }, failed); }, []);
  useEffect(() => { if (asked) b.open(asked).catch(failed); }, [asked]);
  const d = b.draft.value;
  const bad = b.faults.value.faults.length > 0;
  return (
    <div class="page boards">
      <Head title={t("boards.title")} about={t("boards.about")}>
        <Versions />
        {b.mayWrite() && d && b.changed.value && b.published.value && <button class="btn" onClick={() => b.take(structuredClone(b.published.value!))}>{t("pol.discard")}</button>}
        {b.mayWrite() && d && <button class="btn main" data-do="publish" disabled={!b.changed.value || bad} onClick={() => setPublishing(true)}>{t("pol.publish")}</button>}
      </Head>
      <div class="three"><Rail />{d && <Form />}{d && <Preview />}</div>
      {publishing && <Publish onClose={() => setPublishing(false)} />}
    </div>
  );
}
