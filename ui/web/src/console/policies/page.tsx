/** How the city decides: processes, deadlines, duty, merging, calendars, scheduling; edited, tried on the past, published. */
import { useEffect, useState } from "preact/hooks";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import * as s from "../state";
import "./policies.css";
import { CalendarYears } from "./calendar";
import { Diagram } from "./diagram";
import { CopyAsNew } from "./copy";
import { Part, label } from "./form";
import { IndicatorForm } from "./indicatorform";
import { Inspector } from "./inspector";
import * as p from "./store";
import { Migration } from "./migration";
import { PartnerState } from "./partner";
import { PlanForm } from "./planform";
import { SceneForm } from "./sceneform";
import { Trial } from "./trial";
import type { Doc, Json } from "./types";

const KINDS = ["process", "duty", "scheduling", "filter", "merge", "intake", "calendar", "plan", "scene", "indicators"];
const TRIED = ["process", "duty", "filter", "merge", "scheduling", "indicators"];
const COPIED = ["plan", "scene", "indicators", "group", "duty", "intake"];
const ICONS: Record<string, string> = { process: "route", duty: "clipboard-list", scheduling: "truck", filter: "filter", merge: "copy", intake: "download", calendar: "calendar-check", plan: "shield-alert", scene: "presentation", indicators: "gauge" };
const HIDDEN = new Set(["key", "title", "verified"]);

function Rail() {
  const open = p.one.value;
  const kinds = [...new Set([...KINDS, ...p.list.value.map((x) => x.kind)])].filter((k) => p.list.value.some((x) => x.kind === k));
  return (
    <nav class="rail" aria-label={t("pol.title")}>
      {kinds.map((kind) => <section><h2 class="small muted"><Icon name={ICONS[kind] ?? "file-text"} size={14} />{label(`kind.${kind}`)}</h2>
        <ul>{p.list.value.filter((x) => x.kind === kind).map((x) => (
          <li><a href={`/console/policies/${x.kind}/${x.key}`} aria-current={open?.kind === x.kind && open.key === x.key ? "page" : undefined} onClick={(e) => { e.preventDefault(); s.go(`policies/${x.kind}/${x.key}`); }}>
            <span class="cut">{tt(x.title) || x.key}</span><span class="small muted">v{x.version}{x.kind === "process" && x.running ? ` · ${num(x.running)}` : ""}</span></a></li>
        ))}</ul></section>)}
    </nav>
  );
}

function Publish({ onClose }: { onClose(): void }) {
  const [note, setNote] = useState("");
  return (
    <Dialog title={t("pol.publish")} onClose={onClose}>
      <form class="form" onSubmit={async (e) => { e.preventDefault(); if (await p.publish(note)) onClose(); }}>
        <p>{t(p.one.value!.kind === "process" ? "pol.publish.process" : "pol.publish.about")}</p>
        {p.trial.value && <p>{t("pol.trial.said", { changed: num(p.trial.value.changed), read: num(p.trial.value.read) })}</p>}
        <label class="field"><span>{t("pol.note")}</span><textarea rows={2} maxLength={1000} required value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("action.cancel")}</button><button class="btn main" data-do="really" disabled={p.busy.value === "publish" || !note.trim()}>{t("pol.publish")}</button></div>
      </form>
    </Dialog>
  );
}

function Versions() {
  const of = p.one.value!;
  return (
    <details class="menu"><summary class="btn"><Icon name="history" />{t("pol.version", { v: of.version })}</summary>
      <ul class="pop versions">{of.versions.map((v) => (
        <li class={v.version === of.version ? "on" : ""}><button class="what" onClick={() => void p.show(of.kind, of.key, v.version)}><b>v{v.version}{v.running ? <span class="muted small"> · {t("pol.running", { n: num(v.running) })}</span> : null}</b><span class="muted small">{stamp(v.at)} · {v.by}</span>{v.note && <span class="small">{v.note}</span>}</button>
          {p.mayWrite() && v.version !== of.versions[0]!.version && <button class="btn" data-rollback={v.version} onClick={() => void p.rollback(v.version)}>{t("pol.rollback")}</button>}</li>
      ))}</ul></details>
  );
}

function Sheet() {
  const key = encodeURIComponent(p.one.value!.key);
  const load = async (file: File | undefined) => {
    if (!file) return;
    const body = new FormData();
    body.set("file", file);
    const answer = await fetch(`/api/v1/policies/duty/${key}/import`, { method: "POST", body });
    const said = (await answer.json()) as { document?: Doc; faults?: never[]; warnings?: never[]; detail?: string };
    if (!answer.ok || !said.document) return s.tell(said.detail ?? answer.statusText, true);
    p.draft.value = said.document;
    p.checked.value = { faults: said.faults ?? [], warnings: said.warnings ?? [] };
    s.tell(t("pol.imported", { n: (said.document["rows"] as Json[]).length }));
  };
  return <><a class="btn" href={`/api/v1/policies/duty/${key}.xlsx`}><Icon name="download" />{t("pol.xlsx.out")}</a>
    {p.mayWrite() && <label class="btn"><Icon name="upload" />{t("pol.xlsx.in")}<input type="file" class="sr" accept=".xlsx" onChange={(e) => void load(e.currentTarget.files?.[0])} /></label>}</>;
}

function Source() {
  const [text, setText] = useState(JSON.stringify(p.draft.value, null, 2));
  const [wrong, setWrong] = useState("");
  const take = (said: string) => { setText(said); try { p.take(JSON.parse(said) as Doc); setWrong(""); } catch (e) { setWrong((e as Error).message); } };
  return <div class="source"><textarea class="code" spellcheck={false} aria-label={t("pol.source")} readOnly={!p.mayWrite()} value={text} onInput={(e) => take(e.currentTarget.value)} />{wrong && <p class="wrong small" role="alert">{wrong}</p>}</div>;
}

function Faults() {
  const said = p.checked.value;
  if (!said || (!said.faults.length && !said.warnings.length)) return said && p.changed.value ? <p class="fine small"><Icon name="circle-check" size={14} />{t("pol.fine")}</p> : null;
  return <ul class="faults" role="status">{said.faults.map((f) => <li class="wrong"><code>{f.path.join(".") || "—"}</code>{f.why}</li>)}{said.warnings.map((f) => <li class="warned"><code>{f.path.join(".") || "—"}</code>{f.why}</li>)}</ul>;
}

function Body() {
  const of = p.one.value!, doc = p.draft.value!;
  const views = of.kind === "process" ? ["diagram", "forms", "source"] : of.kind === "calendar" ? ["year", "forms", "source"] : ["forms", "source"];
  const own = ["plan", "scene", "indicators"].includes(of.kind);
  const [view, setView] = useState(views[0]!);
  useEffect(() => setView(views[0]!), [of.kind, of.key]);
  return (
    <>
      <div class="tabs" role="tablist" aria-label={t("pol.views")}>{views.map((v) => <button role="tab" aria-selected={view === v} onClick={() => setView(v)}>{t(`pol.view.${v}` as Key)}</button>)}</div>
      <Faults />
      {view === "diagram" && <><Diagram /><Inspector /></>}
      {view === "year" && <CalendarYears />}
      {view === "forms" && own && (of.kind === "indicators" ? <IndicatorForm /> : <fieldset class="formside" disabled={!p.mayWrite()}>{of.kind === "plan" ? <PlanForm /> : <SceneForm />}</fieldset>)}
      {view === "forms" && !own && <fieldset class="formside" disabled={!p.mayWrite()}>{Object.entries(doc).filter(([k]) => !HIDDEN.has(k)).map(([k, v]) => <Part key={k} path={[k]} value={v} name={label(k)} />)}</fieldset>}
      {view === "source" && <Source key={of.version} />}
    </>
  );
}

export default function PoliciesPage() {
  const [publishing, setPublishing] = useState(false);
  const [, kind, key] = s.path.value.split("/");
  useEffect(() => { void p.loadList(); const timer = setInterval(() => { if (!document.hidden) void p.follow(); }, 5000); return () => clearInterval(timer); }, []);
  // The list may come after the document: what is being edited then must not be read anew.
  useEffect(() => { if (kind && key) void p.show(kind, decodeURIComponent(key)); }, [kind, key]);
  useEffect(() => {
    if (!(kind && key) && p.list.value.length) { const first = p.list.value.find((x) => x.key === "event.city" && x.kind === "process") ?? p.list.value[0]!; s.go(`policies/${first.kind}/${first.key}`); }
  }, [kind, key, p.list.value]);
  const of = p.one.value, draft = p.draft.value;
  return (
    <div class="pol">
      <Rail />
      <section class="body">
        {p.why.value && <p class="fatal" role="alert">{p.why.value}</p>}
        {of && draft && <>
          <header class="head"><div class="grow"><h1>{tt(draft["title"] as never) || of.key}</h1><p class="muted">{label(`kind.${of.kind}`)} · <code>{of.key}</code>{draft["verified"] === false && ` · ${t("event.unverified")}`}</p></div>
            <div class="acts">
              {of.version > 0 && <Versions />}
              {of.kind === "duty" && <Sheet />}
              {of.kind === "process" && <a class="btn" href={`/api/v1/policies/process/${encodeURIComponent(of.key)}/bpmn`}><Icon name="download" />BPMN 2.0</a>}
              {of.kind === "process" && p.mayWrite() && <Migration />}
              {p.mayWrite() && COPIED.includes(of.kind) && <CopyAsNew />}
              {p.mayWrite() && TRIED.includes(of.kind) && <button class="btn" data-do="simulate" disabled={p.busy.value === "simulate"} onClick={() => void p.simulate(30)}><Icon name="flask-conical" />{t(p.busy.value === "simulate" ? "pol.trying" : "pol.simulate")}</button>}
              {p.mayWrite() && p.changed.value && of.version > 0 && <button class="btn" onClick={() => void p.show(of.kind, of.key)}><Icon name="undo-2" />{t("pol.discard")}</button>}
              {p.mayWrite() && <button class="btn main" data-do="publish" disabled={!p.changed.value || !!p.checked.value?.faults.length} onClick={() => setPublishing(true)}><Icon name="check" />{t("pol.publish")}</button>}
            </div></header>
          {of.kind === "outgoing" && <PartnerState name={of.key} />}
          {p.trial.value && <Trial />}
          <Body key={`${of.kind}/${of.key}`} />
        </>}
      </section>
      {publishing && <Publish onClose={() => setPublishing(false)} />}
    </div>
  );
}
