/** The online simulator on the real path, and the way of every message through all hops. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { hms, num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import * as s from "../state";
import type { Full, Product } from "./types";

interface Hop { hop: string; ms: number | null; detail: Record<string, unknown> | null }
interface Traced { trace: string; at: string; hops: Hop[] }
interface Sent { topic: string; acknowledged: boolean; connected_ms: number; ms: number }
const HOPS = ["access", "auth", "codec", "model", "store", "rule", "alarm", "push"];

function Way({ of }: { of: Traced }) {
  const last = Math.max(1, ...of.hops.map((h) => h.ms ?? 0));
  const by = new Map(of.hops.map((h) => [h.hop, h]));
  return (
    <li class="way">
      <p><time>{hms(of.at)}</time><code class="muted cut">{of.trace}</code><b>{num(last)}<span class="unit">ms</span></b></p>
      <ol>{HOPS.map((name) => {
        const hop = by.get(name);
        const detail = hop?.detail ? Object.entries(hop.detail).map(([k, v]) => `${k} ${typeof v === "object" ? JSON.stringify(v) : String(v)}`).join(" · ") : "";
        return <li class={hop ? (hop.detail && "refused" in hop.detail ? "bad" : "done") : "none"}><i aria-hidden="true" /><span>{t(`dev.hop.${name}` as Key)}</span><span class="muted small">{hop && hop.ms !== null ? `${num(hop.ms, 1)} ms` : hop ? t("dev.hop.sealed") : "—"}</span><span class="muted small cut" title={detail}>{detail}</span></li>;
      })}</ol>
    </li>
  );
}

export function Trace({ of, model }: { of: Full; model: Product & { example?: Record<string, unknown> } }) {
  const path = `/api/v1/devices/${of.product}/${encodeURIComponent(of.device)}`;
  const first = JSON.stringify({ values: model.example ?? {} }, null, 2);
  const [body, setBody] = useState(first);
  const [channel, setChannel] = useState("telemetry");
  const [sent, setSent] = useState<Sent | null>(null);
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<{ until: string | null; traces: Traced[] }>({ until: null, traces: [] });
  const load = () => get<typeof found>(`${path}/traces`).then(setFound, () => undefined);
  useEffect(() => { void load(); const timer = setInterval(() => !document.hidden && void load(), 2_000); return () => clearInterval(timer); }, [path]);
  const may = s.session.value.acts.includes("device.write");
  const send = async (e: SubmitEvent) => {
    e.preventDefault();
    let said: unknown;
    try { said = JSON.parse(body); } catch (why) { s.tell(t("dev.sim.json", { why: (why as Error).message }), true); return; }
    setBusy(true);
    try { setSent(await post<Sent>(`${path}/messages`, { channel, body: said })); await load(); } catch (why) { s.tell((why as Error).message, true); } finally { setBusy(false); }
  };
  return (
    <div class="tracing">
      {may && (
        <form onSubmit={send}>
          <h2>{t("dev.sim")}</h2>
          <p class="muted small">{t("dev.sim.about")}</p>
          <label class="field"><span>{t("dev.sim.channel")}</span><select value={channel} onChange={(e) => { const c = e.currentTarget.value; setChannel(c); setBody(c === "telemetry" ? first : c === "event" ? JSON.stringify({ type: model.events[0]?.name ?? "event", level: 2, values: {} }, null, 2) : JSON.stringify({ lon: of.point?.[0] ?? 121.47, lat: of.point?.[1] ?? 31.23, speed_kmh: 20 }, null, 2)); }}>{["telemetry", "event", ...(model.moves ? ["position"] : [])].map((c) => <option value={c}>{t(`dev.sim.${c}` as Key)}</option>)}</select></label>
          <label class="field"><span>JSON</span><textarea id="sim-body" rows={9} spellcheck={false} value={body} onInput={(e) => setBody(e.currentTarget.value)} /></label>
          <div class="ends"><button class="btn main" disabled={busy}><Icon name="send" />{t("dev.sim.send")}</button></div>
          {sent && <p class="ok" role="status"><Icon name="circle-check" size={14} />{t("dev.sim.done", { ms: num(sent.ms) })}</p>}
          <p class="muted small">{found.until ? t("dev.trace.until", { at: hms(found.until) }) : <button type="button" class="btn" onClick={() => void post(`${path}/traces`, {}).then(load)}><Icon name="eye" />{t("dev.trace.follow")}</button>}</p>
        </form>
      )}
      <section><h2>{t("dev.trace")}</h2>{found.traces.length ? <ol class="ways">{found.traces.map((one) => <Way of={one} />)}</ol> : <p class="empty muted">{t("dev.trace.none", { product: tt(model.title) })}</p>}</section>
    </div>
  );
}
