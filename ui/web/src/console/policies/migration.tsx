/** Running cases onto the newest version: first what would happen, then the doing, and the way back. */
import { useState } from "preact/hooks";
import { post } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import * as s from "../state";
import * as p from "./store";
import type { Dry } from "./types";

export function Migration() {
  const [open, setOpen] = useState(false);
  const [dry, setDry] = useState<Dry | null>(null);
  const [done, setDone] = useState<Dry | null>(null);
  const of = p.one.value!;
  const old = of.versions.filter((v) => v.version !== of.versions[0]!.version).reduce((n, v) => n + (v.running ?? 0), 0);
  if (!old && !done) return null;
  const path = `/api/v1/policies/process/${encodeURIComponent(of.key)}/migrate`;
  const ask = async (dry_run: boolean) => {
    try {
      const said = await post<Dry>(path, { version: of.versions[0]!.version, dry_run });
      if (dry_run) setDry(said); else { setDone(said); void p.show(of.kind, of.key); }
    } catch (e) { s.tell((e as Error).message, true); }
  };
  const undo = async () => { try { await post(`${path}/undo`, { batch: done!.batch }); setDone(null); setDry(null); setOpen(false); void p.show(of.kind, of.key); } catch (e) { s.tell((e as Error).message, true); } };
  const start = () => { setOpen(true); void ask(true); };
  const count = (said: Dry) => Number(said.moved ?? said.would ?? said["n"] ?? 0);
  return (
    <>
      <button class="btn" data-do="migrate" onClick={start}><Icon name="arrow-right" />{t("pol.migrate", { n: num(old) })}</button>
      {open && <Dialog title={t("pol.migrate.title", { v: of.versions[0]!.version })} onClose={() => setOpen(false)}>
        {dry && !done && <><p>{t("pol.migrate.dry", { n: num(count(dry)), stuck: num(dry.stuck?.length ?? 0) })}</p><ul class="faults">{dry.stuck?.slice(0, 20).map((x) => <li class="wrong"><code>{x.code}</code>{x.why}</li>)}</ul>
          <div class="ends"><button class="btn" onClick={() => setOpen(false)}>{t("action.cancel")}</button><button class="btn main" onClick={() => void ask(false)}>{t("pol.migrate.go")}</button></div></>}
        {done && <><p>{t("pol.migrate.done", { n: num(count(done)) })}</p><div class="ends">{done.batch && <button class="btn" onClick={() => void undo()}><Icon name="undo-2" />{t("pol.migrate.undo")}</button>}<button class="btn main" onClick={() => { setOpen(false); setDone(null); }}>{t("event.close.card")}</button></div></>}
      </Dialog>}
    </>
  );
}
