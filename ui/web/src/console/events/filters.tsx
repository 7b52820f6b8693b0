/** What the list shows: each filter a small select, set ones stand out and go with one click. */
import { useRef, useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { severity } from "../../mapkit";
import { Dialog } from "../parts/dialog";
import * as s from "../state";
import * as e from "./store";
import type { Filters, SavedView, Sort } from "./types";

const SOURCES = ["map", "patrol", "open311", "citizen", "app", "12345", "hotline", "alarm", "sensor", "camera", "satellite", "partner", "file"];
const SORTS: Sort[] = ["severity", "due", "entered", "-opened", "opened"];

function Pick({ name, label, options }: { name: keyof Filters; label: string; options: [string, string][] }) {
  const value = e.filters.value[name] as string;
  return (
    <label class={`pick${value ? " set" : ""}`}><span class="sr">{label}</span>
      <select name={name} value={value} onChange={(x) => e.set({ [name]: x.currentTarget.value })}>
        <option value="">{label}</option>
        {options.map(([v, text]) => <option value={v}>{text}</option>)}
      </select>
    </label>
  );
}

export function FilterBar() {
  const f = e.filters.value;
  const timer = useRef(0);
  const [more, setMore] = useState(false);
  const changed = JSON.stringify({ ...f, inView: false }) !== JSON.stringify(e.NONE);
  return (
    <div class="filters" role="search" aria-label={t("evl.filters")}>
      <label class="seek"><Icon name="search" /><span class="sr">{t("evl.text")}</span>
        <input type="search" name="text" placeholder={t("evl.text")} maxLength={80} value={f.text} onInput={(x) => { const v = x.currentTarget.value; clearTimeout(timer.current); timer.current = window.setTimeout(() => e.set({ text: v }), 250); }} /></label>
      <div class="switch" role="group" aria-label={t("evl.state")}>{(["open", "closed", "all"] as const).map((x) => <button aria-pressed={f.state === x} onClick={() => e.set({ state: x })}>{t(`evl.state.${x}` as Key)}</button>)}</div>
      <button class={`chip${f.late ? " on" : ""}`} aria-pressed={f.late} onClick={() => e.set({ late: !f.late })}><Icon name="clock" size={14} />{t("evl.late")}</button>
      <Pick name="severity" label={t("evl.severity")} options={[1, 2, 3, 4].map((n) => [String(n), tt(severity(n).title)])} />
      <Pick name="stage" label={t("evl.stage")} options={[1, 2, 3, 4, 5, 6].map((n) => [String(n), t(`stage.${n}` as Key)])} />
      <Pick name="category" label={t("evl.category")} options={e.categories.value.map((c) => [c.key, tt(c.title)])} />
      <Pick name="tag" label={t("evl.tag")} options={e.tags.value.map((x) => [x.tag, `${x.tag} ${num(x.count)}`])} />
      {more && <>
        <Pick name="source" label={t("evl.source")} options={SOURCES.map((x) => [x, t(`source.${x}` as Key)])} />
        <label class={`pick date${f.opened_from ? " set" : ""}`}><span>{t("evl.from")}</span><input type="date" name="opened_from" value={f.opened_from} onChange={(x) => e.set({ opened_from: x.currentTarget.value })} /></label>
        <label class={`pick date${f.opened_to ? " set" : ""}`}><span>{t("evl.to")}</span><input type="date" name="opened_to" value={f.opened_to} onChange={(x) => e.set({ opened_to: x.currentTarget.value })} /></label>
      </>}
      <button class="chip" aria-expanded={more} onClick={() => setMore(!more)}>{t(more ? "evl.less" : "evl.more")}</button>
      {changed && <button class="chip" onClick={() => e.set(e.NONE)}><Icon name="x" size={14} />{t("evl.clear")}</button>}
      <span class="grow" />
      <label class="pick"><span class="sr">{t("evl.sort")}</span><select name="sort" value={e.sort.value} onChange={(x) => (e.sort.value = x.currentTarget.value as Sort)}>{SORTS.map((x) => <option value={x}>{t(`evl.sort.${x}` as Key)}</option>)}</select></label>
    </div>
  );
}

export function Columns() {
  return (
    <details class="menu">
      <summary class="btn"><Icon name="table" />{t("evl.columns")}</summary>
      <ul class="pop">{e.COLUMNS.map((c) => (
        <li><label class="check"><input type="checkbox" name={`column-${c}`} checked={e.columns.value.includes(c)} disabled={c === "what"} onChange={(x) => (e.columns.value = e.COLUMNS.filter((k) => (k === c ? x.currentTarget.checked : e.columns.value.includes(k))))} />{t(`evl.col.${c}` as Key)}</label></li>
      ))}</ul>
    </details>
  );
}

const READY: { id: number; name: Key; doc: SavedView["doc"] }[] = [
  { id: -1, name: "evl.ready.open", doc: { filters: {}, columns: e.USUAL, sort: "severity" } },
  { id: -2, name: "evl.ready.new", doc: { filters: { stage: "1" }, columns: e.USUAL, sort: "opened" } },
  { id: -3, name: "evl.ready.send", doc: { filters: { stage: "2" }, columns: e.USUAL, sort: "severity" } },
  { id: -4, name: "evl.ready.late", doc: { filters: { late: true }, columns: e.USUAL, sort: "due" } },
  { id: -5, name: "evl.ready.verify", doc: { filters: { stage: "5" }, columns: e.USUAL, sort: "due" } },
  { id: -6, name: "evl.ready.closed", doc: { filters: { state: "closed" }, columns: e.USUAL, sort: "-opened" } },
];

export function Views() {
  const [saving, setSaving] = useState(false);
  const view = (id: number, name: string, doc: SavedView["doc"], mine = false, shared = false) => (
    <li key={id} class={e.shownView.value === id ? "on" : ""}>
      <button class="name cut" aria-current={e.shownView.value === id ? "true" : undefined} onClick={() => e.showView({ id, doc })}>{name}{shared && <Icon name="users" size={12} />}</button>
      {mine && <button class="ghost" aria-label={t("evl.view.remove", { name })} title={t("evl.view.remove", { name })} onClick={async () => { await send("DELETE", `/api/v1/views/${id}`).catch((x: Error) => s.tell(x.message, true)); void e.loadViews(); }}><Icon name="x" size={14} /></button>}
    </li>
  );
  return (
    <nav class="views" aria-label={t("evl.views")}>
      <ul>{READY.map((r) => view(r.id, t(r.name), r.doc))}</ul>
      <h2 class="small muted">{t("evl.views")}</h2>
      <ul>{e.views.value.map((v) => view(v.id, v.name, v.doc, v.mine, v.shared))}</ul>
      {!e.views.value.length && <p class="small muted none">{t("evl.views.none")}</p>}
      <button class="btn" data-do="save-view" onClick={() => setSaving(true)}><Icon name="star" />{t("evl.view.save")}</button>
      {saving && <Save onClose={() => setSaving(false)} />}
    </nav>
  );
}

function Save({ onClose }: { onClose(): void }) {
  const save = async (x: SubmitEvent) => {
    x.preventDefault();
    const said = new FormData(x.currentTarget as HTMLFormElement);
    const changed = Object.fromEntries(Object.entries(e.filters.value).filter(([k, v]) => v !== e.NONE[k as keyof Filters]));
    try {
      const made = await post<SavedView>("/api/v1/views", { page: "events", name: String(said.get("name")).trim(), shared: said.get("shared") === "on", doc: { filters: changed, columns: e.columns.value, sort: e.sort.value } });
      await e.loadViews();
      e.shownView.value = made.id;
      onClose();
    } catch (why) { s.tell((why as Error).message, true); }
  };
  return (
    <Dialog title={t("evl.view.save")} onClose={onClose}>
      <form class="form" onSubmit={save}>
        <label class="field"><span>{t("evl.view.name")}</span><input name="name" required maxLength={40} autoFocus /></label>
        <label class="check"><input type="checkbox" name="shared" />{t("evl.view.shared")}</label>
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("action.cancel")}</button><button class="btn main">{t("evl.view.save")}</button></div>
      </form>
    </Dialog>
  );
}
