/** The layer tree: group → topic database → kind, with its legend; searched by title and kind; folded by default. */
import { signal } from "@preact/signals";
import { Icon, Mark } from "../common/icon";
import { severity } from "../mapkit";
import { t, tt } from "../common/i18n";
import type { LayerBranch, LayerGroup, LayerNode, Legend } from "../common/types";
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

function Row({ layer }: { layer: LayerNode }) {
  const off = s.hidden.value.has(layer.id);
  return (
    <li class={off ? "layer off" : "layer"} data-layer={layer.id}>
      <label>
        <input type="checkbox" checked={!off} onChange={() => flip([layer.id], off)} />
        {layer.legend.length > 0 && <Swatch mark={layer.legend[0]!} />}
        <span class="grow cut" title={tt(layer.title)}>{tt(layer.title)}</span>
        <span class="muted small">{layer.type === "live" ? t("layers.live") : layer.min_zoom > 9 ? t("layers.from", { z: layer.min_zoom }) : ""}</span>
      </label>
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

export function Layers() {
  if (!s.layersOpen.value)
    return (
      <button class="fold panel" aria-expanded="false" onClick={() => (s.layersOpen.value = true)}><Icon name="layers" size={18} /><span>{t("layers.title")}</span></button>
    );
  const known = new Map(s.tree.value.groups.flatMap((g) => g.layers).map((layer) => [layer.id, layer]));
  return (
    <nav class="layers panel" aria-label={t("layers.title")}>
      <h2>{t("layers.title")}<button class="plain" aria-label={t("layers.close")} aria-expanded="true" onClick={() => (s.layersOpen.value = false)}><Icon name="x" /></button></h2>
      <label class="seek"><Icon name="search" size={14} /><input type="search" placeholder={t("layers.search")} aria-label={t("layers.search")} value={sought.value} onInput={(e) => (sought.value = e.currentTarget.value)} /></label>
      <div class="scroll">
        {sought.value.trim() ? <Found known={known} /> : s.tree.value.groups.map((group) => <Group key={group.id} group={group} known={known} />)}
      </div>
    </nav>
  );
}

/** The four marks of severity in a line, as every list explains itself. */
export function SeverityKey() {
  return <span class="sevkey">{[1, 2, 3, 4].map((n) => <span><Mark level={n} size={12} />{tt(severity(n).title)}</span>)}</span>;
}
