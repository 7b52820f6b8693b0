/** What can be done with all picked events at once, and what was refused with its reason. */
import { useMemo, useState } from "preact/hooks";
import { ActionForm } from "../../common/actionform";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import type { Action } from "../../common/types";
import { Dialog } from "../parts/dialog";
import * as e from "./store";

// Each needs its own look at the place, or another event: not for many at once.
const SINGLE = new Set(["merge", "unmerge", "accept", "arrive", "finish", "use", "answer"]);

export function Bulk() {
  const [asked, setAsked] = useState<Action | null>(null);
  const [tagging, setTagging] = useState(false);
  const rows = e.pickedRows.value;
  const shared = useMemo(() => {
    const found = new Map<string, { action: Action; n: number }>();
    for (const r of rows) for (const a of r.actions) if (!SINGLE.has(a.action)) found.set(a.action, { action: a, n: (found.get(a.action)?.n ?? 0) + 1 });
    return [...found.values()].sort((a, b) => b.n - a.n);
  }, [rows]);
  if (!rows.length && !e.outcome.value) return null;
  const run = (a: Action) => (a.need.length ? setAsked(a) : void e.actMany(a.action, tt(a.title), {}));
  const keep = async (x: SubmitEvent) => {
    x.preventDefault();
    const said = new FormData(x.currentTarget as HTMLFormElement);
    const words = (name: string) => String(said.get(name) ?? "").split(/[,，、\s]+/).filter(Boolean);
    setTagging(false);
    await e.tag(rows.map((r) => r.code), words("add"), words("remove"));
  };
  return (
    <>
      {rows.length > 0 && (
        <div class="bulk" role="toolbar" aria-label={t("evl.bulk")}>
          <b>{t("evl.picked", { n: num(rows.length) })}</b>
          {shared.map(({ action, n }) => <button class="btn" data-bulk={action.action} onClick={() => run(action)}>{tt(action.title)}{n < rows.length && <span class="muted small">{n}</span>}</button>)}
          <button class="btn" data-bulk="tag" onClick={() => setTagging(true)}><Icon name="tag" size={14} />{t("evl.tag")}</button>
          <button class="ghost" aria-label={t("evl.pick.none")} title={t("evl.pick.none")} onClick={() => (e.picked.value = new Set())}><Icon name="x" /></button>
        </div>
      )}
      {asked && <Dialog title={t("evl.bulk.title", { title: tt(asked.title), n: rows.length })} onClose={() => setAsked(null)}><ActionForm action={asked} onCancel={() => setAsked(null)} onSend={(p) => e.actMany(asked.action, tt(asked.title), p)} /></Dialog>}
      {tagging && <Dialog title={t("evl.tag")} onClose={() => setTagging(false)}><form class="form" onSubmit={keep}>
        <label class="field"><span>{t("evl.tag.add")}</span><input name="add" list="known-tags-many" maxLength={120} autoFocus /></label>
        <label class="field"><span>{t("evl.tag.take")}</span><input name="remove" list="known-tags-many" maxLength={120} /></label>
        <datalist id="known-tags-many">{e.tags.value.map((x) => <option value={x.tag} />)}</datalist>
        <div class="ends"><button type="button" class="btn" onClick={() => setTagging(false)}>{t("action.cancel")}</button><button class="btn main">{t("evl.tag")}</button></div></form></Dialog>}
      {e.outcome.value && <Dialog title={e.outcome.value.title} onClose={() => (e.outcome.value = null)}>
        <p>{t("evl.outcome", { done: num(e.outcome.value.of.done.length), refused: num(e.outcome.value.of.refused.length) })}</p>
        <ul class="refused">{e.outcome.value.of.refused.slice(0, 50).map((r) => <li><code>{r.code}</code><span>{r.why}</span></li>)}</ul>
      </Dialog>}
    </>
  );
}
