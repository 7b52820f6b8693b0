/** Styles of layers without code: icon, colour, from which zoom, how opaque, shown at the start; tried on the map before it is published. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { StyleSpecification } from "maplibre-gl";
import { get, post } from "../../common/api";
import { Icon } from "../../common/icon";
import { lang, t, tt } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { LayerNode, LayerTree } from "../../common/types";
import { colour, createMap, iconPaths, type TwinMap } from "../../mapkit";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/head";
import * as s from "../state";
import "./styles.css";

interface Said { icon?: string; ink?: string; shown?: boolean; named?: boolean; min_zoom?: number; opacity?: number }
interface Doc { key: string; title: { zh: string; en: string }; kinds: Record<string, Said> }
interface Kind { kind: string; geometry: string; symbol: { icon?: string; label?: string; min_zoom?: number; shown?: boolean; color_by?: string; ink?: string } }
const INKS = ["greening", "forestry", "sanitation", "appearance", "landscape", "base", "good", "info", "minor", "major", "critical", "mine", "moving"];
const AT = "/api/v1/policies/style/layers";

const published = signal<Doc | null>(null);
const draft = signal<Doc | null>(null);
const tree = signal<LayerTree>({ groups: [] });
const chosen = signal<string | null>(null);
const own = signal<Kind | null>(null);
const sought = signal("");
const failed = (why: Error) => s.tell(why.message, true);
const mayWrite = () => s.session.value.acts.includes("policy.write");
const changed = () => JSON.stringify(draft.value) !== JSON.stringify(published.value);

async function load(): Promise<void> {
  const [doc, layers] = await Promise.all([get<{ document: Doc }>(AT), get<LayerTree>("/layers")]);
  published.value = doc.document;
  draft.value = structuredClone(doc.document);
  tree.value = layers;
}

/** Change what is said of a layer; what is as the kind declares it is not said. */
function put(part: Said): void {
  const key = chosen.value!;
  const said: Record<string, unknown> = { ...draft.value!.kinds[key], ...part };
  for (const name of Object.keys(said)) if (said[name] === undefined) delete said[name];
  const kinds = { ...draft.value!.kinds };
  if (Object.keys(said).length) kinds[key] = said as Said;
  else delete kinds[key];
  draft.value = { ...draft.value!, kinds };
}

const drawn = (one: LayerNode) => one.type === "tiles" && one.style_layers.length > 0;

function Tree() {
  const words = sought.value.trim().toLowerCase();
  const fits = (one: LayerNode) => drawn(one) && (!words || `${one.id} ${one.title.zh} ${one.title.en}`.toLowerCase().includes(words));
  return (
    <nav class="styletree" aria-label={t("styles.title")}>
      <label class="seek"><span class="sr">{t("layers.search")}</span><input type="search" placeholder={t("layers.search")} value={sought.value} onInput={(e) => (sought.value = e.currentTarget.value)} /></label>
      {tree.value.groups.map((group) => {
        const list = group.layers.filter(fits);
        return list.length > 0 && group.id !== "base" && (
          <section key={group.id}><h2 class="small muted">{tt(group.title)}</h2>
            <ul>{list.map((one) => <li><button class={chosen.value === one.id ? "on" : ""} aria-pressed={chosen.value === one.id} data-style={one.id} onClick={() => (chosen.value = one.id)}><span class="grow cut">{tt(one.title)}</span>{draft.value?.kinds[one.id] && <i class="edited" title={t("styles.edited")} />}</button></li>)}</ul></section>
        );
      })}
    </nav>
  );
}

function Form({ node }: { node: LayerNode }) {
  const kind = own.value;
  const said = draft.value!.kinds[node.id] ?? {};
  const [icons, setIcons] = useState("");
  if (!kind || kind.kind !== node.id) return <section class="styleform" />;
  const base = kind.symbol;
  const first = base.min_zoom ?? 12;
  const icon = said.icon ?? base.icon ?? "map-pin";
  const zoom = said.min_zoom ?? first;
  const share = said.opacity ?? 1;
  const names = Object.keys(iconPaths).filter((one) => !icons || one.includes(icons.trim().toLowerCase()));
  return (
    <section class="styleform" aria-label={tt(node.title)}>
      <h2><Icon name={icon} size={18} />{tt(node.title)}<span class="grow" />{draft.value!.kinds[node.id] && <button class="btn" onClick={() => { const kinds = { ...draft.value!.kinds }; delete kinds[node.id]; draft.value = { ...draft.value!, kinds }; }}>{t("styles.reset")}</button>}</h2>
      {base.color_by && <p class="small muted">{t("styles.byvalue", { field: base.color_by })}</p>}
      <fieldset class="inkrow"><legend class="small muted">{t("styles.ink")}</legend>
        {INKS.map((one) => <label title={one}><input type="radio" name="ink" checked={said.ink === one} aria-label={one} disabled={!mayWrite()} onChange={() => put({ ink: one })} /><i style={{ background: colour(theme.value, one) }} /></label>)}
      </fieldset>
      {kind.geometry === "point" && (
        <fieldset class="iconrow"><legend class="small muted">{t("styles.icon")}</legend>
          <input type="search" aria-label={t("styles.icon.seek")} placeholder={t("styles.icon.seek")} value={icons} onInput={(e) => setIcons(e.currentTarget.value)} />
          <div class="iconbox">{names.map((one) => <button type="button" aria-label={one} title={one} aria-pressed={icon === one} class={icon === one ? "on" : ""} disabled={!mayWrite()} onClick={() => put({ icon: one === base.icon ? undefined : one })}><Icon name={one} size={18} /></button>)}</div>
        </fieldset>
      )}
      <label class="slide"><span>{t("styles.zoom")}</span><input type="range" min={first} max={19} step={0.5} disabled={!mayWrite()} value={zoom} onInput={(e) => put({ min_zoom: Number(e.currentTarget.value) === first ? undefined : Number(e.currentTarget.value) })} /><b>{zoom}</b></label>
      <label class="slide"><span>{t("layers.opacity")}</span><input type="range" min={10} max={100} step={5} disabled={!mayWrite()} value={Math.round(share * 100)} onInput={(e) => put({ opacity: Number(e.currentTarget.value) === 100 ? undefined : Number(e.currentTarget.value) / 100 })} /><b>{Math.round(share * 100)}%</b></label>
      <label class="check"><input type="checkbox" disabled={!mayWrite()} checked={said.shown ?? !!base.shown} onChange={(e) => put({ shown: e.currentTarget.checked === !!base.shown ? undefined : e.currentTarget.checked })} />{t("styles.shown")}</label>
      {base.label && <label class="check"><input type="checkbox" disabled={!mayWrite()} checked={said.named ?? true} onChange={(e) => put({ named: e.currentTarget.checked ? undefined : false })} />{t("styles.named")}</label>}
    </section>
  );
}

/** The map as the draft would draw it, where a thing of the chosen layer is. */
function Preview({ node }: { node: LayerNode | undefined }) {
  const frame = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  useEffect(() => {
    const { center, zoom } = s.config.value;
    made.current = createMap({ container: frame.current!, theme: theme.value, lang: lang.value, center, zoom });
    return () => made.current!.map.remove();
  }, []);
  useEffect(() => {
    if (!node) return;
    get<GeoJSON.FeatureCollection>(`/ogc/collections/${encodeURIComponent(node.kind)}/items?limit=1`).then((got) => {
      const g = got.features[0]?.geometry as { coordinates?: unknown } | undefined;
      const flat = (v: unknown): number[] | null => (Array.isArray(v) ? (typeof v[0] === "number" ? (v as number[]) : flat(v[0])) : null);
      const at = flat(g?.coordinates);
      if (at) made.current?.map.jumpTo({ center: [at[0]!, at[1]!], zoom: Math.max(15, node.min_zoom + 1.5) });
    }, () => undefined);
  }, [node?.id]);
  useEffect(() => {
    if (!draft.value) return;
    const wait = window.setTimeout(() => {
      const asked: Promise<StyleSpecification> = mayWrite() ? post("/api/v1/styles/try", { document: draft.value, theme: theme.value, lang: lang.value }) : get(`/styles/${theme.value}.json?lang=${lang.value}`);
      asked.then((style) => {
        // What is being styled is seen, whether or not it is shown at the start.
        for (const one of style.layers) if ((one.metadata as { kind?: string } | undefined)?.kind === node?.id && "layout" in one && one.layout) delete (one.layout as { visibility?: string }).visibility;
        made.current?.map.setStyle(style, { diff: true });
      }, failed);
    }, 250);
    return () => clearTimeout(wait);
  }, [JSON.stringify(draft.value), node?.id, theme.value, lang.value]);
  return <div class="stylemap" ref={frame} role="img" aria-label={t("boards.preview")} />;
}

function Publish({ onClose }: { onClose(): void }) {
  const [note, setNote] = useState("");
  const go = async (e: Event) => {
    e.preventDefault();
    try {
      const done = await post<{ version: number; changed: boolean }>(`${AT}/publish`, { document: draft.value, note });
      s.tell(t(done.changed ? "pol.published" : "pol.same", { v: done.version }));
      await load();
      onClose();
    } catch (why) { failed(why as Error); }
  };
  return (
    <Dialog title={t("pol.publish")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <p>{t("pol.publish.about")}</p>
        <label class="field"><span>{t("pol.note")}</span><textarea rows={2} maxLength={1000} required value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("action.cancel")}</button><button class="btn main" data-do="really" disabled={!note.trim()}>{t("pol.publish")}</button></div>
      </form>
    </Dialog>
  );
}

export default function Styles() {
  const [publishing, setPublishing] = useState(false);
  useEffect(() => { load().then(() => { chosen.value ??= tree.value.groups.flatMap((g) => g.layers).find((one) => drawn(one) && one.visible)?.id ?? null; }, failed); }, []);
  useEffect(() => { if (chosen.value) get<Kind>(`/api/v1/kinds/${encodeURIComponent(chosen.value)}`).then((k) => (own.value = k), failed); }, [chosen.value]);
  const node = tree.value.groups.flatMap((g) => g.layers).find((one) => one.id === chosen.value);
  return (
    <div class="page layerstyles">
      <Head title={t("styles.title")} about={t("styles.about")}>
        <a class="btn" href="/console/policies/style/layers" onClick={(e) => { e.preventDefault(); s.go("policies/style/layers"); }}><Icon name="history" />{t("styles.versions")}</a>
        {mayWrite() && changed() && <button class="btn" onClick={() => (draft.value = structuredClone(published.value))}>{t("pol.discard")}</button>}
        {mayWrite() && <button class="btn main" data-do="publish" disabled={!changed()} onClick={() => setPublishing(true)}>{t("pol.publish")}</button>}
      </Head>
      <div class="three">{draft.value && <Tree />}{draft.value && node ? <Form key={node.id} node={node} /> : <section />}<Preview node={node} /></div>
      {publishing && <Publish onClose={() => setPublishing(false)} />}
    </div>
  );
}
