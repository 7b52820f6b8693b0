/** Updates of devices: releases that are signed, rollouts that go stage by stage and halt by themselves. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, type Key } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import { strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { why } from "./store";

interface Release { id: string; product: string; version: string; counter: number; hardware: string[]; bytes: number; sha256: string; created_at: string; created_by: string }
interface Rollout { id: string; product: string; version: string; state: string; stages: number[]; stage: number; halt_above: number; why: string | null; created_at: string; tally: Record<string, number>[]; plan?: { window?: [number, number] | null } }

const releases = signal<Release[]>([]);
const rollouts = signal<Rollout[]>([]);
const carried = signal(false);
const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
const minutes = (at: string) => Number(at.slice(0, 2)) * 60 + Number(at.slice(3));
const BAD = ["failed", "rolled_back", "expired"];

async function read(): Promise<void> {
  try { const r = await get<{ releases: Release[]; rollouts: Rollout[]; carried: boolean }>("/api/v1/ota"); releases.value = r.releases; rollouts.value = r.rollouts; carried.value = r.carried; }
  catch (e) { why.value = (e as Error).message; }
}

function NewRelease({ onClose }: { onClose: () => void }) {
  const [wrong, setWrong] = useState("");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const body = new FormData(e.currentTarget as HTMLFormElement);
    try {
      await strong(async () => {
        const answer = await fetch("/api/v1/ota/releases", { method: "POST", body });
        if (!answer.ok) { const said = (await answer.json()) as { detail: string; code: string }; const { Problem } = await import("../../common/api"); throw new Problem(answer.status, said.code, said.detail); }
      });
      await read();
      onClose();
    } catch (x) { setWrong((x as Error).message); }
  };
  return (
    <Dialog title={t("alm.ota.new")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <div class="two"><label class="field"><span>{t("alm.product")}</span><input name="product" required maxLength={40} /></label><label class="field"><span>{t("alm.ota.version")}</span><input name="version" required maxLength={32} /></label></div>
        <div class="two"><label class="field"><span>{t("alm.ota.counter")}</span><input name="counter" type="number" min={1} required /></label><label class="field"><span>{t("alm.ota.hardware")}</span><input name="hardware" defaultValue="any" required /></label></div>
        <label class="field"><span>{t("alm.ota.image")}</span><input name="image" type="file" required /></label>
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("alm.ota.sign")}</button></div>
      </form>
    </Dialog>
  );
}

function Start({ of, onClose }: { of: Release; onClose: () => void }) {
  const [wrong, setWrong] = useState("");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    const district = String(said.get("district") ?? "").trim();
    const stages = String(said.get("stages")).split(/[,，\s]+/).filter(Boolean).map((x) => Number(x) / 100);
    try {
      const made = await strong(() => post<{ devices: number }>("/api/v1/ota/rollouts", { release: of.id, stages, halt_above: Number(said.get("halt")) / 100, ...(district ? { district } : { everywhere: true }), ...(said.get("from") && said.get("until") ? { window: [minutes(String(said.get("from"))), minutes(String(said.get("until")))] } : {}) }));
      s.tell(t("alm.ota.started", { n: made.devices }));
      await read();
      onClose();
    } catch (x) { setWrong((x as Error).message); }
  };
  return (
    <Dialog title={t("alm.ota.start")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <p class="muted">{`${of.product} ${of.version}`}</p>
        <label class="field"><span>{t("alm.ota.district")}</span><input name="district" maxLength={6} pattern="[0-9]{6}" /></label>
        <div class="two"><label class="field"><span>{t("alm.ota.stages")}</span><input name="stages" defaultValue="1, 10, 100" required /></label><label class="field"><span>{t("alm.ota.halt")}</span><input name="halt" type="number" min={0} max={99} defaultValue={20} required /></label></div>
        <div class="two"><label class="field"><span>{t("area.from")}</span><input name="from" type="time" /></label><label class="field"><span>{t("area.until")}</span><input name="until" type="time" /></label></div>
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("alm.ota.go")}</button></div>
      </form>
    </Dialog>
  );
}

/** One stage as a bar: done, failed, on its way, waiting. */
function Stage({ of, now }: { of: Record<string, number>; now: boolean }) {
  const all = Object.values(of).reduce((a, b) => a + b, 0) || 1;
  const bad = BAD.reduce((n, k) => n + (of[k] ?? 0), 0), good = of.committed ?? 0, waits = (of.assigned ?? 0) + (of.cancelled ?? 0);
  const label = Object.entries(of).map(([k, n]) => `${t(`alm.ota.s.${k}` as Key)} ${n}`).join(t("acc.comma"));
  return <span class={`stagebar${now ? " now" : ""}`} role="img" aria-label={label} title={label}><i class="good" style={{ flexGrow: good / all }} /><i class="bad" style={{ flexGrow: bad / all }} /><i class="going" style={{ flexGrow: Math.max(0, all - good - bad - waits) / all }} /><i style={{ flexGrow: waits / all }} /></span>;
}

export function Updates() {
  const [making, setMaking] = useState(false);
  const [starting, setStarting] = useState<Release | null>(null);
  useEffect(() => { void read(); const timer = setInterval(() => void read(), 5000); return () => clearInterval(timer); }, []);
  const act = async (what: () => Promise<unknown>) => { try { await what(); await read(); } catch (e) { s.tell((e as Error).message, true); } };
  const first: Column<Release>[] = [
    { key: "version", title: t("alm.ota.version"), cell: (r) => <span class="what"><b>{`${r.product} ${r.version}`}</b><span class="muted">{t("alm.ota.counted", { n: r.counter, hardware: r.hardware.join(", ") })}</span></span> },
    { key: "bytes", title: t("alm.ota.bytes"), number: true, cell: (r) => `${num(r.bytes / 1024, 1)} KiB` },
    { key: "hash", title: "SHA-256", cell: (r) => <code>{r.sha256.slice(0, 16)}…</code> },
    { key: "by", title: t("alm.ota.by"), cell: (r) => `${r.created_by} · ${stamp(r.created_at)}` },
    { key: "act", title: "", width: "130px", cell: (r) => <button class="btn" onClick={() => setStarting(r)}>{t("alm.ota.start")}</button> },
  ];
  const second: Column<Rollout>[] = [
    { key: "what", title: t("alm.ota.rollout"), cell: (o) => <span class="what"><b>{`${o.product} ${o.version}`}</b><span class="muted">{stamp(o.created_at)}{o.plan?.window && ` · ${t("alm.ota.window", { from: clock(o.plan.window[0]), until: clock(o.plan.window[1]) })}`}</span></span> },
    { key: "state", title: t("alm.state"), width: "200px", cell: (o) => <span class="what"><b class={o.state === "halted" ? "wrong" : ""}>{t(`alm.ota.r.${o.state}` as Key)}</b>{o.why && <span class="muted">{o.why}</span>}</span> },
    { key: "stages", title: t("alm.ota.stages"), cell: (o) => <span class="stages">{o.tally.map((x, i) => <Stage of={x} now={i === o.stage && o.state === "running"} />)}</span> },
    { key: "act", title: "", width: "170px", cell: (o) => (o.state === "running" || o.state === "paused") && <span class="does tight"><button class="btn" onClick={() => void act(() => post(`/api/v1/ota/rollouts/${o.id}/pause?on=${o.state === "running"}`, {}))}>{t(o.state === "running" ? "alm.ota.pause" : "alm.ota.resume")}</button><button class="btn bad" onClick={() => void act(() => post(`/api/v1/ota/rollouts/${o.id}/halt`, { reason: t("alm.ota.byhand") }))}>{t("alm.ota.stop")}</button></span> },
  ];
  return (
    <div>
      <div class="asks">{carried.value ? <span class="tag"><Icon name="shield-check" size={14} />{t("alm.ota.carried")}</span> : <button class="btn main" onClick={() => setMaking(true)}><Icon name="plus" />{t("alm.ota.new")}</button>}<span class="muted">{t("alm.ota.about")}</span></div>
      <Table columns={second} rows={rollouts.value} label={t("alm.ota.rollout")} id={(o) => o.id} />
      <h2 class="gap">{t("alm.ota.releases")}</h2>
      <Table columns={first} rows={releases.value} label={t("alm.ota.releases")} empty={t("alm.ota.none")} id={(r) => r.id} />
      {making && <NewRelease onClose={() => setMaking(false)} />}
      {starting && <Start of={starting} onClose={() => setStarting(null)} />}
    </div>
  );
}
