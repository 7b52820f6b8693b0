/** Silences: what does not ring for a while, why, and how many alarms it has kept quiet. */
import { useEffect, useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { readSilences, silences } from "./store";
import type { Silence } from "./types";

function New({ onClose }: { onClose: () => void }) {
  const [wrong, setWrong] = useState("");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    const value = (name: string) => String(said.get(name) ?? "").trim() || null;
    try {
      await post("/api/v1/silences", { rule: value("rule"), thing: value("thing"), district: value("district"), reason: value("reason"), ends_at: new Date(Date.now() + Number(said.get("hours")) * 3600e3).toISOString() });
      await readSilences();
      onClose();
    } catch (x) { setWrong((x as Error).message); }
  };
  return (
    <Dialog title={t("alm.silence.new")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <p class="muted">{t("alm.silence.about")}</p>
        <label class="field"><span>{t("alm.silence.rule")}</span><input name="rule" maxLength={64} /></label>
        <label class="field"><span>{t("alm.silence.thing")}</span><input name="thing" maxLength={64} /></label>
        <label class="field"><span>{t("alm.silence.district")}</span><input name="district" maxLength={6} pattern="[0-9]{6}" /></label>
        <label class="field"><span>{t("alm.silence.hours")}</span><input name="hours" type="number" min={0.25} max={720} step={0.25} value={4} required /></label>
        <label class="field"><span>{t("alm.silence.reason")}</span><input name="reason" minLength={2} maxLength={300} required /></label>
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("alm.silence.do")}</button></div>
      </form>
    </Dialog>
  );
}

export function Silences() {
  const [making, setMaking] = useState(false);
  useEffect(() => { void readSilences(); }, []);
  const may = s.session.value.acts.includes("alarm.handle");
  const end = async (id: number) => { try { await send("DELETE", `/api/v1/silences/${id}`); await readSilences(); } catch (e) { s.tell((e as Error).message, true); } };
  const columns: Column<Silence>[] = [
    { key: "what", title: t("alm.silence.what"), cell: (x) => <span class="what"><b>{x.thing_name ?? x.code ?? x.rule ?? x.district}</b><span class="muted">{[x.rule, x.code, x.district].filter(Boolean).join(" · ")}</span></span> },
    { key: "reason", title: t("alm.silence.reason"), cell: (x) => x.reason },
    { key: "until", title: t("alm.silence.until"), cell: (x) => stamp(x.ends_at) },
    { key: "actor", title: t("alm.silence.by"), cell: (x) => x.actor },
    { key: "kept", title: t("alm.silence.kept"), number: true, cell: (x) => x.kept },
    { key: "end", title: "", cell: (x) => may && <button class="btn" onClick={() => void end(x.id)}>{t("alm.silence.end")}</button> },
  ];
  return (
    <div>
      {may && <div class="asks"><button class="btn main" onClick={() => setMaking(true)}><Icon name="plus" />{t("alm.silence.new")}</button></div>}
      <Table columns={columns} rows={silences.value} label={t("alm.tab.silences")} empty={t("alm.silence.none")} id={(x) => String(x.id)} />
      {making && <New onClose={() => setMaking(false)} />}
    </div>
  );
}
