/** A dialog of the browser's own kind: it takes the focus, Escape closes it, the page behind waits. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";

export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => { if (!box.current!.open) box.current!.showModal(); }, []);
  return (
    <dialog ref={box} class={`dialog${wide ? " wide" : ""}`} aria-label={title} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <header><h2>{title}</h2><button type="button" class="ghost" aria-label={t("event.close.card")} onClick={onClose}><Icon name="x" /></button></header>
      {children}
    </dialog>
  );
}

/** A secret that is shown this once, with a button that copies it. */
export function Secret({ title, about, value, onClose }: { title: string; about: string; value: string; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p class="muted">{about}</p>
      <p class="secret"><code>{value}</code><button type="button" class="btn" onClick={() => void navigator.clipboard?.writeText(value)}><Icon name="copy" />{t("acc.copy")}</button></p>
      <div class="ends"><button type="button" class="btn main" onClick={onClose}>{t("acc.noted")}</button></div>
    </Dialog>
  );
}
