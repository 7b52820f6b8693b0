/** Forwarding: who else is told what, how far behind each is, and what its last trouble was. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post, send } from "../../common/api";
import { num, span, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, type Key } from "../../common/i18n";
import { Dialog, Secret } from "../parts/dialog";
import { strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { why } from "./store";

interface Subscription { id: string; name: string; kind: string; target: string; digest: string; filter: Record<string, string[]>; enabled: boolean; sent: number; sent_at: string | null; fails: number; last_error: string | null; behind: number; behind_s: number | null }

const found = signal<Subscription[]>([]);
const classes = signal<string[]>([]);

async function read(): Promise<void> {
  try { const r = await get<{ subscriptions: Subscription[]; classes: string[] }>("/api/v1/subscriptions"); found.value = r.subscriptions; classes.value = r.classes; }
  catch (e) { why.value = (e as Error).message; }
}

function New({ onClose, onSecret }: { onClose: () => void; onSecret: (secret: string) => void }) {
  const [wrong, setWrong] = useState("");
  const [kind, setKind] = useState("webhook");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    const picked = said.getAll("classes").map(String);
    const body = { name: said.get("name"), kind, target: said.get("target"), digest: said.get("digest") ?? "sha256", filter: picked.length ? { classes: picked } : {}, from_start: said.get("start") === "on" };
    try {
      const made = await strong(() => post<{ id: string; secret: string | null }>("/api/v1/subscriptions", body));
      await read();
      onClose();
      if (made.secret) onSecret(made.secret);
    } catch (x) { setWrong((x as Error).message); }
  };
  return (
    <Dialog title={t("alm.north.new")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <label class="field"><span>{t("alm.north.name")}</span><input name="name" required maxLength={64} /></label>
        <label class="field"><span>{t("alm.north.kind")}</span><select value={kind} onChange={(e) => setKind(e.currentTarget.value)}><option value="webhook">Webhook (HTTP)</option><option value="mqtt">MQTT</option></select></label>
        <label class="field"><span>{t("alm.north.target")}</span><input name="target" required maxLength={500} placeholder={kind === "webhook" ? "https://" : "north / mqtts://"} /></label>
        {kind === "webhook" && <label class="field"><span>{t("alm.north.digest")}</span><select name="digest"><option value="sha256">HMAC-SHA256</option><option value="sm3">HMAC-SM3</option></select></label>}
        <fieldset class="roles"><legend>{t("alm.north.classes")}</legend>{classes.value.map((c) => <label class="check"><input type="checkbox" name="classes" value={c} />{t(`alm.north.c.${c}` as Key)}</label>)}</fieldset>
        <label class="check"><input type="checkbox" name="start" />{t("alm.north.start")}</label>
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("alm.north.do")}</button></div>
      </form>
    </Dialog>
  );
}

export function North() {
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState("");
  useEffect(() => { void read(); const timer = setInterval(() => void read(), 5000); return () => clearInterval(timer); }, []);
  const act = async (what: () => Promise<unknown>) => { try { await strong(what); await read(); } catch (e) { s.tell((e as Error).message, true); } };
  const columns: Column<Subscription>[] = [
    { key: "name", title: t("alm.north.name"), cell: (x) => <span class="what"><b>{x.name}</b><span class="muted cut">{`${x.kind === "mqtt" ? "MQTT" : `Webhook · ${x.digest === "sm3" ? "SM3" : "SHA-256"}`} · ${x.target}`}</span></span> },
    { key: "about", title: t("alm.north.classes"), cell: (x) => (x.filter.classes ?? classes.value).map((c) => t(`alm.north.c.${c}` as Key)).join(t("acc.comma")) },
    { key: "sent", title: t("alm.north.sent"), number: true, cell: (x) => <span class="what"><b>{num(x.sent)}</b><span class="muted">{x.sent_at ? stamp(x.sent_at) : ""}</span></span> },
    { key: "behind", title: t("alm.north.behind"), number: true, cell: (x) => (x.behind ? <span class={x.behind_s && x.behind_s > 120 ? "warn" : ""}>{num(x.behind)}{x.behind_s ? ` · ${span(x.behind_s)}` : ""}</span> : <span class="yes"><Icon name="check" size={14} />{t("alm.north.current")}</span>) },
    { key: "error", title: t("alm.north.trouble"), cell: (x) => (x.last_error ? <span class="wrong cut" title={x.last_error}>{t("alm.north.fails", { n: x.fails })}{x.last_error}</span> : <span class="muted">—</span>) },
    { key: "acts", title: "", width: "170px", cell: (x) => <span class="does tight"><button class="btn" onClick={() => void act(() => send("PATCH", `/api/v1/subscriptions/${x.id}`, { enabled: !x.enabled }))}>{t(x.enabled ? "alm.turn.off" : "alm.turn.on")}</button><button class="btn bad" onClick={() => void act(() => send("DELETE", `/api/v1/subscriptions/${x.id}`))}>{t("alm.north.remove")}</button></span> },
  ];
  return (
    <div>
      <div class="asks"><button class="btn main" onClick={() => setMaking(true)}><Icon name="plus" />{t("alm.north.new")}</button><span class="muted">{t("alm.north.about")}</span></div>
      <Table columns={columns} rows={found.value} label={t("alm.tab.north")} empty={t("alm.north.none")} id={(x) => x.id} />
      {making && <New onClose={() => setMaking(false)} onSecret={setSecret} />}
      {secret && <Secret title={t("alm.north.secret")} about={t("alm.north.secret.about")} value={secret} onClose={() => setSecret("")} />}
    </div>
  );
}
