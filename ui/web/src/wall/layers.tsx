/** The layer tree: group → topic database → kind, with legend, opacity and freshness; searched by title and kind. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { severity } from "../mapkit";
import { get } from "../common/api";
import { num, when } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import type { LayerBranch, LayerGroup, LayerNode, Legend } from "../common/types";
import { Head } from "./rail";
import * as s from "./store";

function Swatch({ mark }: { mark: Legend }) {
  const ink = mark.token ? `var(--${mark.token.replaceAll("_", "-")})` : mark.color;
  if (mark.shape.startsWith("icon:")) return <span class="swatch" style={{ color: ink }}><Icon name={mark.shape.slice(5)} size={14} /></span>;
  if (mark.shape.startsWith("severity:")) return <span class="swatch"><Mark level={Number(mark.shape.slice(9))} /></span>;
  return <span class={`swatch ${mark.shape}`}><i style={{ background: ink, color: ink, borderColor: ink }} /></span>;
}

function flip(ids: string[], on: boolean): void {
  const next = new Set(s.hidden.value);
  for (const id of ids)
    if (on) next.delete(id);
    else next.add(id);
  s.hidden.value = next;
}

/** Which layer's opacity and figures are open. */
const opened = signal<string | null>(null);

/** How fresh a layer is: a dot that tells in time or overdue, by shape as well as by colour. */
function Freshness({ id }: { id: string }) {
  const fresh = s.freshness.value[id];
  if (!fresh) return null;
  const late = fresh.in_time === false;
  return <span class={`fresh${late ? " overdue" : ""}`} title={`${t(late ? "layers.overdue" : "layers.fresh")} ${when(fresh.freshest)}`}>{late ? "!" : ""}</span>;
}

function More({ layer }: { layer: LayerNode }) {
  const share = s.opacity.value.get(layer.id) ?? 1;
  const fresh = s.freshness.value[layer.id];
  const set = (value: number) => { const next = new Map(s.opacity.value); if (value >= 1) next.delete(layer.id); else next.set(layer.id, value); s.opacity.value = next; };
  return (
    <div class="more-of">
      {(layer.style_layers ?? []).length > 0 && <label class="small muted">{t("layers.opacity")}<input type="range" min={10} max={100} step={5} value={Math.round(share * 100)} aria-label={`${tt(layer.title)} ${t("layers.opacity")}`} onInput={(e) => set(Number(e.currentTarget.value) / 100)} /><b>{Math.round(share * 100)}%</b></label>}
      {fresh && <p class="small muted">{t("layers.things", { n: num(fresh.things) })} · {t(fresh.in_time === false ? "layers.overdue" : "layers.fresh")} {when(fresh.freshest)}</p>}
    </div>
  );
}

/** Hills: a flat city says so, and offers to show them higher than they are. */
function Relief({ layer }: { layer: LayerNode }) {
  const h = layer.heights!;
  const range = h.highest_m - h.lowest_m;
  return (
    <div class="more-of">
      <label class="small muted">{t("terrain.relief")}<input type="range" min={1} max={20} step={1} value={s.relief.value} aria-label={t("terrain.relief")} onInput={(e) => (s.relief.value = Number(e.currentTarget.value))} /><b>×{s.relief.value}</b></label>
      <p class="small muted">{t("terrain.range", { low: num(Math.round(h.lowest_m)), high: num(Math.round(h.highest_m)), step: num(Math.round(h.step_m)) })}{range < 150 && ` ${t("terrain.flat")}`}{!s.threeD.value && ` ${t("terrain.3d")}`}</p>
    </div>
  );
}

const GATHERINGS: s.Gathering[] = ["auto", "points", "clusters", "hexagons", "heat"];

function Gathered() {
  return (
    <div class="more-of" role="radiogroup" aria-label={t("gather.title")}>
      <div class="chips">{GATHERINGS.map((one) => <button role="radio" aria-checked={s.gathering.value === one} class={s.gathering.value === one ? "on" : ""} data-gather={one} onClick={() => (s.gathering.value = one)}>{t(`gather.${one}` as Key)}</button>)}</div>
    </div>
  );
}

function Row({ layer }: { layer: LayerNode }) {
  const off = s.hidden.value.has(layer.id);
  const more = opened.value === layer.id;
  return (
    <li class={off ? "layer off" : "layer"} data-layer={layer.id}>
      <label>
        <input type="checkbox" checked={!off} onChange={() => flip([layer.id], off)} />
        {layer.legend.length > 0 && <Swatch mark={layer.legend[0]!} />}
        <span class="grow cut" title={tt(layer.title)}>{tt(layer.title)}</span>
        <span class="muted small">{layer.type === "live" ? t("layers.live") : layer.min_zoom > 9 ? t("layers.from", { z: layer.min_zoom }) : ""}</span>
        <Freshness id={layer.id} />
        {layer.type !== "live" && <button class="plain tune" aria-label={`${tt(layer.title)} ${t("layers.tune")}`} title={t("layers.tune")} aria-expanded={more} onClick={(e) => { e.preventDefault(); opened.value = more ? null : layer.id; }}><Icon name="chevron-down" size={14} /></button>}
      </label>
      {more && <More layer={layer} />}
      {layer.id === "events" && !off && <Gathered />}
      {layer.heights && !off && <Relief layer={layer} />}
      {layer.legend.length > 1 && !off && (
        <ul class="legend">{layer.legend.map((mark) => <li><Swatch mark={mark} /><span>{tt(mark.label)}</span></li>)}</ul>
      )}
    </li>
  );
}

/** What is folded and what is sought; databases with something on the map are open at the start. */
const folded = signal<Map<string, boolean>>(new Map());
const sought = signal("");

function Branch({ branch, known }: { branch: LayerBranch; known: Map<string, LayerNode> }) {
  const on = branch.layers.filter((id) => !s.hidden.value.has(id)).length;
  const open = folded.value.get(branch.id) ?? branch.layers.some((id) => known.get(id)!.visible && known.get(id)!.type !== "live");
  return (
    <li data-database={branch.id}>
      <button class="branch" aria-expanded={open} onClick={() => (folded.value = new Map(folded.value).set(branch.id, !open))}>
        <Icon name={open ? "chevron-down" : "chevron-right"} size={14} />
        <span class="grow cut" title={tt(branch.title)}>{tt(branch.title)}</span>
        <span class={on ? "small" : "muted small"}>{on}/{branch.layers.length}</span>
      </button>
      {open && <ul class="leaves">{branch.layers.map((id) => <Row key={id} layer={known.get(id)!} />)}</ul>}
    </li>
  );
}

function Group({ group, known }: { group: LayerGroup; known: Map<string, LayerNode> }) {
  const inside = new Set(s.tree.value.groups.flatMap((g) => g.databases).flatMap((b) => b.layers));
  // The ground is listed as a whole: that a road also stands in a database hides it from nobody.
  const loose = group.layers.filter((layer) => group.id === "base" || group.id === "live" || !inside.has(layer.id));
  return (
    <section data-group={group.id}>
      <h3 class="muted small">{tt(group.title)}</h3>
      <ul>
        {loose.map((layer) => <Row key={layer.id} layer={layer} />)}
        {group.databases.map((branch) => <Branch key={branch.id} branch={branch} known={known} />)}
      </ul>
    </section>
  );
}

function matches(text: string, known: Map<string, LayerNode>): LayerNode[] {
  const wanted = text.trim().toLowerCase();
  const said = (one: { id: string; title: LayerNode["title"] }) => `${one.id.replaceAll("_", " ")} ${one.id} ${one.title.zh} ${one.title.en}`.toLowerCase();
  const branches = s.tree.value.groups.flatMap((g) => g.databases).filter((b) => said(b).includes(wanted));
  const ids = new Set(branches.flatMap((b) => b.layers));
  return [...known.values()].filter((layer) => said(layer).includes(wanted) || ids.has(layer.id));
}

function Found({ known }: { known: Map<string, LayerNode> }) {
  const found = matches(sought.value, known);
  const ids = found.map((layer) => layer.id);
  const allOn = ids.every((id) => !s.hidden.value.has(id));
  return (
    <section>
      <h3 class="muted small hits">
        {found.length ? t("layers.found", { n: found.length }) : t("layers.nothing")}
        {found.length > 0 && <button class="plain" onClick={() => flip(ids, !allOn)}>{t(allOn ? "layers.none" : "layers.all")}</button>}
      </h3>
      <ul>{found.map((layer) => <Row key={layer.id} layer={layer} />)}</ul>
    </section>
  );
}

/** Whose base map lies under everything; nothing to choose where no other is connected. */
function Basemaps() {
  const others = s.config.value.basemaps ?? [];
  if (!others.length) return null;
  const choice = (id: string, title: string) => <button role="radio" aria-checked={s.basemap.value === id} class={s.basemap.value === id ? "on" : ""} data-basemap={id} onClick={() => (s.basemap.value = id)}>{title}</button>;
  const shown = others.find((b) => b.id === s.basemap.value);
  return (
    <div class="basemaps pad"><div class="chips" role="radiogroup" aria-label={t("basemap.title")}>{choice("", t("basemap.own"))}{others.map((b) => choice(b.id, tt(b.title)))}</div>
      {shown && <p class="small muted">{shown.attribution}</p>}</div>
  );
}

export function Layers() {
  useEffect(() => {
    get<{ layers: Record<string, s.Fresh> }>("/layers/freshness").then((got) => (s.freshness.value = got.layers), (why: Error) => s.tell(why.message));
  }, []);
  const known = new Map(s.tree.value.groups.flatMap((g) => g.layers).map((layer) => [layer.id, layer]));
  return (
    <>
      <Head title={t("layers.title")} />
      <label class="seek"><Icon name="search" size={14} /><input type="search" placeholder={t("layers.search")} aria-label={t("layers.search")} value={sought.value} onInput={(e) => (sought.value = e.currentTarget.value)} /></label>
      <Basemaps />
      <div class="scroll">
        {sought.value.trim() ? <Found known={known} /> : s.tree.value.groups.map((group) => <Group key={group.id} group={group} known={known} />)}
      </div>
    </>
  );
}

/** The four marks of severity in a line, as every list explains itself. */
export function SeverityKey() {
  return <span class="sevkey">{[1, 2, 3, 4].map((n) => <span><Mark level={n} size={12} />{tt(severity(n).title)}</span>)}</span>;
}
