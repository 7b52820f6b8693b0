/** Linkages (场景联动): what happens by itself, how it fared, what each firing did; edited, tried, started by hand. */
import { useEffect, useState } from "preact/hooks";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { LinkForm } from "./linkform";
import * as k from "./linkstore";
import type { Linkage, Run } from "./linktypes";
import { came, cause, does, waits } from "./linkwords";

const ICONS = { value: "activity", alarm: "bell-ring", at: "clock", manual: "play" } as const;

function Flow({ of }: { of: Linkage }) {
  return (
    <ol class="lnkflow">
      <li><i class="step">1</i><span><b>{t("lnk.when")}</b>{waits(of.document)}</span></li>
      {of.document.when && <li><i class="step">2</i><span><b>{t("lnk.if")}</b><code>{of.document.when}</code></span></li>}
      <li><i class="step">{of.document.when ? 3 : 2}</i><span><b>{t("lnk.then")}</b>{of.document.actions.map((a) => <em>{does(a)}</em>)}</span></li>
    </ol>
  );
}

function Runs({ list }: { list: Run[] }) {
  if (!list.length) return <p class="muted">{t("lnk.runs.none")}</p>;
  return (
    <ul class="lnkruns">{list.map((r) => (
      <li class={r.state} key={r.id}><Icon name={r.state === "done" ? "check" : r.state === "held" ? "pause" : "triangle-alert"} size={14} />
        <div class="grow"><span class="cut">{cause(r)}</span><span class="small muted">{r.fault ?? r.did.map(came).join(" · ")}</span></div>
        <span class="small muted">{stamp(r.at)}{r.actor !== "system" && ` · ${tt(r.actor_name) || r.actor}`}</span></li>
    ))}</ul>
  );
}

function One({ of, onClose }: { of: Linkage; onClose: () => void }) {
  const [editing, setEditing] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => { setEditing(false); k.readRuns(of.key).catch(k.failed); }, [of.key]);
  const turn = async () => {
    try { await k.publish({ ...of.document, enabled: !of.enabled }, t(of.enabled ? "alm.turn.off" : "alm.turn.on")); await k.readLinkages(); } catch (e) { k.failed(e as Error); }
  };
  const run = async () => {
    setBusy(true);
    try { const why = await k.runNow(of.key); s.tell(why || t("lnk.ran"), !!why); } catch (e) { k.failed(e as Error); }
    setBusy(false);
  };
  return (
    <aside class="one" aria-label={tt(of.title)}>
      <header><div><p class="small muted"><code>{of.key}</code>{` · v${of.version}`}</p><h2>{tt(of.title)}</h2></div><button class="ghost" aria-label={t("event.close.card")} onClick={onClose}><Icon name="x" /></button></header>
      {editing ? <LinkForm of={of.document} onClose={() => setEditing(false)} onDone={() => { setEditing(false); void k.readLinkages(); }} /> : (
        <>
          <Flow of={of} />
          {of.fault && <p class="wrong">{of.fault}</p>}
          <div class="does">
            {of.form === "manual" && k.mayRun.value && <button class="btn main" data-do="run" disabled={busy || !of.enabled} onClick={() => void run()}><Icon name="play" />{t("lnk.run")}</button>}
            {k.mayWrite.value && <><button class="btn" data-do="edit" onClick={() => setEditing(true)}><Icon name="pen-line" />{t("lnk.edit")}</button><button class="btn" onClick={() => void turn()}>{t(of.enabled ? "alm.turn.off" : "alm.turn.on")}</button>
              <a class="btn" href={`/console/policies/linkage/${of.key}`} onClick={(e) => { e.preventDefault(); s.go(`policies/linkage/${of.key}`); }}><Icon name="history" />{t("lnk.versions")}</a></>}
          </div>
          <h3>{t("lnk.runs")}</h3>
          <Runs list={k.runs.value} />
        </>
      )}
    </aside>
  );
}

export function Linkages() {
  const [making, setMaking] = useState(false);
  const [, , key = ""] = s.path.value.split("/");
  useEffect(() => { Promise.all([k.readLinkages(), k.readChoices()]).catch(k.failed); const timer = setInterval(() => { if (!document.hidden) void k.readLinkages().catch(() => undefined); }, 15_000); return () => clearInterval(timer); }, []);
  const chosen = k.linkages.value?.find((x) => x.key === decodeURIComponent(key));
  const columns: Column<Linkage>[] = [
    { key: "form", title: "", width: "36px", cell: (x) => <span title={t(`lnk.form.${x.form}` as Key)}><Icon name={ICONS[x.form]} size={18} /></span> },
    { key: "title", title: t("lnk.one"), cell: (x) => <span class="what"><b>{tt(x.title)}</b><span class="muted cut">{waits(x.document)} → {x.document.actions.map(does).join("；")}</span></span> },
    { key: "done", title: t("lnk.week"), number: true, width: "90px", cell: (x) => (x.done ? num(x.done) : <span class="muted">0</span>) },
    { key: "last", title: t("lnk.last"), width: "150px", cell: (x) => (x.last_at ? <span class="nowrap">{stamp(x.last_at)}</span> : <span class="muted">—</span>) },
    { key: "state", title: t("alm.state"), width: "110px", cell: (x) => (x.failed ? <span class="warn"><Icon name="triangle-alert" size={14} />{num(x.failed)}</span> : x.enabled ? <span class="yes"><Icon name="check" size={14} />{t("alm.on")}</span> : <span class="muted">{t("alm.off")}</span>) },
  ];
  const pane = making || !!chosen;
  return (
    <div>
      <div class="asks"><p class="muted grow">{t("lnk.about")}</p>{k.mayWrite.value && <button class="btn main" data-do="new" onClick={() => { s.go("alarms/linkages"); setMaking(true); }}><Icon name="plus" />{t("lnk.new")}</button>}</div>
      <div class={`beside${pane ? " with" : ""}`}>
        <div class="grow"><Table columns={columns} rows={k.linkages.value ?? []} label={t("alm.tab.linkages")} empty={k.linkages.value ? t("lnk.none") : t("dev.loading")} id={(x) => x.key} onOpen={(x) => { setMaking(false); s.go(`alarms/linkages/${x.key}`); }} chosen={(x) => x.key === chosen?.key} /></div>
        {making ? <aside class="one" aria-label={t("lnk.new")}><header><h2>{t("lnk.new")}</h2><button class="ghost" aria-label={t("event.close.card")} onClick={() => setMaking(false)}><Icon name="x" /></button></header>
          <LinkForm of={null} onClose={() => setMaking(false)} onDone={(made) => { setMaking(false); void k.readLinkages().then(() => s.go(`alarms/linkages/${made}`)); }} /></aside>
          : chosen && <One of={chosen} onClose={() => s.go("alarms/linkages")} />}
      </div>
    </div>
  );
}
