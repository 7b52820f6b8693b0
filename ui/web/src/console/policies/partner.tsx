/** How a partner stands that gets events from us: what went there, what waits, why the last try failed. */
import { useEffect, useState } from "preact/hooks";
import { get, post, send } from "../../common/api";
import { num, stamp } from "../../common/format";
import { t, type Key } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import { strong } from "../parts/strong";
import * as s from "../state";
import { mayWrite } from "./store";

interface Partner { name: string; url: string; enabled: boolean; sent: number; waiting: number; open: number; closed: number; refused: number; behind: number; last_error: string | null; polled_at: string | null }
const COUNTS = ["sent", "waiting", "open", "closed", "refused", "behind"] as const;

/** Where a partner is reached and with which key: begun, changed, stopped; what was typed as a key is not shown again. */
function Join({ name, of, done }: { name: string; of?: Partner; done: () => void }) {
  const [open, setOpen] = useState(false);
  const [url, setUrl] = useState(of?.url ?? "https://");
  const [key, setKey] = useState("");
  const run = async (act: () => Promise<unknown>, said: Key) => {
    try { await strong(act); setOpen(false); setKey(""); s.tell(t(said)); done(); } catch (why) { s.tell((why as Error).message, true); }
  };
  const save = (e: Event) => {
    e.preventDefault();
    const same = of?.enabled && of.url === url;
    void run(() => (same ? post(`/api/v1/partners/${encodeURIComponent(name)}/key`, { key }) : post("/api/v1/partners", { name, url, key })), same ? "pol.partner.rekeyed" : "pol.partner.begun");
  };
  return (
    <>
      <p class="ends">{of?.enabled && <button class="btn" data-do="stop" onClick={() => void run(() => send("DELETE", `/api/v1/partners/${encodeURIComponent(name)}`), "pol.partner.stopped")}>{t("pol.partner.stop")}</button>}
        <button class="btn" data-do="join" onClick={() => setOpen(true)}>{t(of?.enabled ? "pol.partner.change" : "pol.partner.begin")}</button></p>
      {open && <Dialog title={t(of?.enabled ? "pol.partner.change" : "pol.partner.begin")} onClose={() => setOpen(false)}>
        <form class="form" onSubmit={save}>
          <label class="field"><span>{t("pol.partner.url")}</span><input name="url" type="url" required maxLength={400} value={url} onInput={(e) => setUrl(e.currentTarget.value)} /></label>
          <label class="field"><span>{t("pol.partner.key")}</span><input name="key" type="password" autocomplete="off" maxLength={400} required={!!of?.enabled} value={key} onInput={(e) => setKey(e.currentTarget.value)} /></label>
          <div class="ends"><button type="button" class="btn" onClick={() => setOpen(false)}>{t("action.cancel")}</button><button class="btn main" data-do="joined">{t("pol.partner.save")}</button></div>
        </form>
      </Dialog>}
    </>
  );
}

export function PartnerState({ name }: { name: string }) {
  const [of, setOf] = useState<Partner | null | undefined>(undefined);
  useEffect(() => {
    const load = () => get<Partner[]>("/api/v1/partners").then((all) => setOf(all.find((p) => p.name === name) ?? null), () => setOf(undefined));
    void load();
    const timer = setInterval(() => { if (!document.hidden) void load(); }, 5000);
    return () => clearInterval(timer);
  }, [name]);
  if (of === undefined) return null;
  const after = () => get<Partner[]>("/api/v1/partners").then((all) => setOf(all.find((p) => p.name === name) ?? null), () => undefined);
  if (of === null) return <section class="partnerstate" data-partner="none"><p class="muted">{t("pol.partner.none", { name })}</p>{mayWrite() && <Join name={name} done={after} />}</section>;
  return (
    <section class="partnerstate" data-partner={of.name} aria-label={t("pol.partner")}>
      <p>{of.url}{!of.enabled && ` · ${t("pol.partner.off")}`}{of.polled_at && <span class="muted small"> {t("pol.partner.polled", { at: stamp(of.polled_at) })}</span>}</p>
      <dl>{COUNTS.map((k) => <div key={k}><dt class="muted small">{t(`pol.partner.${k}` as Key)}</dt><dd class={k === "refused" && of[k] ? "bad" : ""}>{num(of[k])}</dd></div>)}</dl>
      {mayWrite() && <Join name={name} of={of} done={after} />}
      {of.last_error && <p class="wrong small" role="status">{of.last_error}</p>}
    </section>
  );
}
