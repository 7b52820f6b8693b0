/** A selection on the device map: an area is drawn, what lies in it is commanded or updated at once. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { strong } from "../parts/strong";
import type { DevicePoint } from "../../mapkit";
import * as s from "../state";
import type { Product } from "./types";

export type LonLat = [number, number];
interface Release { id: string; product: string; version: string; created_at: string }

/** Whether a point lies in a ring: how often a line from it crosses the edges. */
export function within(p: LonLat, ring: LonLat[]): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [a, b] = [ring[i]!, ring[j]!];
    if (a[1] > p[1] !== b[1] > p[1] && p[0] < ((b[0] - a[0]) * (p[1] - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
  }
  return inside;
}

export function AreaCard({ ring, points, product, onClose }: { ring: LonLat[]; points: DevicePoint[]; product: Product; onClose: () => void }) {
  const acts = s.session.value.acts;
  const [name, setName] = useState(product.commands[0]?.name ?? "");
  const [args, setArgs] = useState<Record<string, unknown>>({});
  const [reason, setReason] = useState("");
  const [releases, setReleases] = useState<Release[]>([]);
  const [release, setRelease] = useState("");
  const [stages, setStages] = useState("1, 10, 100");
  const [hours, setHours] = useState<[string, string]>(["", ""]);
  const [busy, setBusy] = useState(false);
  useEffect(() => { if (acts.includes("ota.write")) get<{ releases: Release[] }>("/api/v1/ota").then((f) => { const mine = f.releases.filter((r) => r.product === product.key); setReleases(mine); setRelease(mine[0]?.id ?? ""); }, () => undefined); }, [product.key]);
  const inside = points.filter((p) => within([p.lon, p.lat], ring));
  const silent = inside.filter((p) => p.state !== "live").length;
  const command = product.commands.find((c) => c.name === name);
  const area = { type: "Polygon", coordinates: [ring] };
  const doing = async (what: () => Promise<string>) => { setBusy(true); try { s.tell(await what()); onClose(); } catch (e) { s.tell((e as Error).message, true); } setBusy(false); };
  const give = (e: SubmitEvent) => { e.preventDefault(); void doing(async () => { const done = await post<{ devices: number }>("/api/v1/commands", { product: product.key, name, args, area, reason: reason || undefined }); return t("area.given", { n: num(done.devices) }); }); };
  const minutes = (at: string) => Number(at.slice(0, 2)) * 60 + Number(at.slice(3));
  const roll = (e: SubmitEvent) => { e.preventDefault(); void doing(async () => {
    const window = hours[0] && hours[1] ? { window: [minutes(hours[0]), minutes(hours[1])] } : {};
    const done = await strong(() => post<{ devices: number }>("/api/v1/ota/rollouts", { release, area, stages: stages.split(/[,，\s]+/).filter(Boolean).map((x) => Number(x) / 100), ...window }));
    return t("alm.ota.started", { n: done!.devices });
  }); };
  const set = (key: string, type: string, raw: string) => { const next = { ...args }; if (raw === "") delete next[key]; else next[key] = type === "boolean" ? raw === "true" : type === "text" || type === "enum" ? raw : Number(raw); setArgs(next); };
  return (
    <section class="mapcard areacard" aria-label={t("area.title")}>
      <header><h2><b class="big">{num(inside.length)}</b>{t("area.inside", { product: tt(product.title) })}</h2><button class="ghost" aria-label={t("event.close.card")} onClick={onClose}><Icon name="x" /></button></header>
      {silent > 0 && <p class="muted small">{t("area.silent", { n: num(silent) })}</p>}
      {acts.includes("device.command") && product.commands.length > 0 && (
        <form class="form" onSubmit={give}><h3>{t("area.command")}</h3>
          <label class="field"><span class="sr">{t("area.command")}</span><select id="area-command" value={name} onChange={(e) => { setName(e.currentTarget.value); setArgs({}); }}>{product.commands.map((c) => <option value={c.name}>{tt(c.title)}</option>)}</select></label>
          {command?.args.map((a) => <label class="field" key={a.name}><span>{tt(a.title)}{a.unit && <span class="unit">{tt(a.unit)}</span>}</span>{a.type === "boolean" ? <select value={String(args[a.name] ?? "")} onChange={(e) => set(a.name, a.type, e.currentTarget.value)}><option value="">—</option><option value="true">{t("dev.yes")}</option><option value="false">{t("dev.no")}</option></select> : <input value={String(args[a.name] ?? "")} onInput={(e) => set(a.name, a.type, e.currentTarget.value)} />}</label>)}
          <label class="field"><span>{t("area.reason")}</span><input maxLength={300} value={reason} onInput={(e) => setReason(e.currentTarget.value)} /></label>
          <button class="btn main" disabled={busy || !inside.length} data-do="command"><Icon name="send" />{t("area.give", { n: num(inside.length) })}</button></form>
      )}
      {releases.length > 0 && (
        <form class="form" onSubmit={roll}><h3>{t("area.update")}</h3>
          <label class="field"><span>{t("alm.ota.version")}</span><select value={release} onChange={(e) => setRelease(e.currentTarget.value)}>{releases.map((r) => <option value={r.id}>{r.version} · {stamp(r.created_at)}</option>)}</select></label>
          <label class="field"><span>{t("alm.ota.stages")}</span><input value={stages} onInput={(e) => setStages(e.currentTarget.value)} /></label>
          <div class="two"><label class="field"><span>{t("area.from")}</span><input type="time" value={hours[0]} onInput={(e) => setHours([e.currentTarget.value, hours[1]])} /></label><label class="field"><span>{t("area.until")}</span><input type="time" value={hours[1]} onInput={(e) => setHours([hours[0], e.currentTarget.value])} /></label></div>
          <button class="btn" disabled={busy || !inside.length} data-do="update">{t("area.roll", { n: num(inside.length) })}</button></form>
      )}
    </section>
  );
}
