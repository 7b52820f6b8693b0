/** A new document as a copy of the one that is open: its key and its name are asked for first. */
import { useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import * as p from "./store";

export function CopyAsNew() {
  const [open, setOpen] = useState(false);
  const [key, setKey] = useState("");
  const [zh, setZh] = useState("");
  const [en, setEn] = useState("");
  const taken = p.list.value.some((x) => x.kind === p.one.value!.kind && x.key === key);
  const go = (e: Event) => { e.preventDefault(); p.begin(key, { zh, en }); setOpen(false); };
  return (
    <>
      <button class="btn" data-do="copy" onClick={() => { setKey(`${p.one.value!.key}_2`); setOpen(true); }}><Icon name="copy" />{t("pol.copy")}</button>
      {open && <Dialog title={t("pol.copy")} onClose={() => setOpen(false)}>
        <form class="form" onSubmit={go}>
          <p class="muted">{t("pol.copy.about")}</p>
          <label class="field"><span>{t("pol.copy.key")}</span><input name="key" required pattern="[a-z][a-z0-9_.]{0,63}" value={key} onInput={(e) => setKey(e.currentTarget.value)} />{taken && <span class="wrong small">{t("pol.copy.taken")}</span>}</label>
          <label class="field"><span>{t("pol.copy.zh")}</span><input name="zh" required maxLength={60} value={zh} onInput={(e) => setZh(e.currentTarget.value)} /></label>
          <label class="field"><span>{t("pol.copy.en")}</span><input name="en" lang="en" required maxLength={60} value={en} onInput={(e) => setEn(e.currentTarget.value)} /></label>
          <div class="ends"><button type="button" class="btn" onClick={() => setOpen(false)}>{t("action.cancel")}</button><button class="btn main" data-do="begin" disabled={taken || !key || !zh || !en}>{t("pol.copy.go")}</button></div>
        </form>
      </Dialog>}
    </>
  );
}
