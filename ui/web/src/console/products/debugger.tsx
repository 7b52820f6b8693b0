/** The debugger of codecs: bytes on the left, every step to values of the model on the right. */
import { useState } from "preact/hooks";
import { post } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import * as s from "../state";
import type { Product } from "../devices/types";

interface Explained { payload: string; bytes: number; codec: string; answer: unknown; records: { t?: string; values: Record<string, unknown> }[]; ignored: Record<string, unknown>; refused: Record<string, string>; error: string | null; us: number }

export function Debugger({ product, vectors, declaration }: { product: Product; vectors: { payload: string; port?: number }[]; declaration?: string }) {
  const [form, setForm] = useState<"hex" | "base64" | "json">(product.codec === "json" ? "json" : "hex");
  const [payload, setPayload] = useState(vectors[0]?.payload ?? '{"values": {}}');
  const [port, setPort] = useState("");
  const [found, setFound] = useState<Explained | null>(null);
  const run = async (e?: SubmitEvent, given?: string) => {
    e?.preventDefault();
    try {
      setFound(await post<Explained>("/api/v1/products/decode", { product: product.key, declaration: declaration ?? null, payload: given ?? payload, form: given ? "hex" : form, port: port ? Number(port) : null }));
    } catch (why) { s.tell((why as Error).message, true); }
  };
  const bytes = found?.payload.match(/../g) ?? [];
  const prop = (name: string) => product.properties.find((p) => p.name === name);
  return (
    <div class="debugger">
      <form onSubmit={(e) => void run(e)}>
        <div class="spans" role="radiogroup" aria-label={t("prod.form")}>{(["hex", "base64", "json"] as const).map((k) => <button type="button" class="btn" role="radio" aria-checked={form === k} aria-pressed={form === k} onClick={() => setForm(k)}>{k === "hex" ? t("prod.hex") : k === "json" ? "JSON" : "Base64"}</button>)}</div>
        <label class="field"><span>{t("prod.payload")}</span><textarea id="debug-payload" rows={5} spellcheck={false} value={payload} onInput={(e) => setPayload(e.currentTarget.value)} /></label>
        <label class="field port"><span>{t("prod.port")}</span><input inputMode="numeric" pattern="[0-9]*" maxLength={3} value={port} onInput={(e) => setPort(e.currentTarget.value)} /></label>
        <div class="ends"><button class="btn main"><Icon name="play" />{t("prod.decode")}</button></div>
        {vectors.length > 0 && <><h2>{t("prod.vectors")}</h2><ul class="vectors">{vectors.map((v) => <li><button type="button" onClick={() => { setForm("hex"); setPayload(v.payload); void run(undefined, v.payload); }}><code>{v.payload}</code></button></li>)}</ul></>}
      </form>
      <section aria-live="polite">
        {!found ? <p class="empty muted">{t("prod.debug.none")}</p> : (
          <ol class="steps">
            <li><h3>{t("prod.step.bytes", { n: found.bytes })}</h3><p class="bytes">{bytes.slice(0, 96).map((b) => <code>{b}</code>)}</p></li>
            <li class={found.error ? "bad" : ""}><h3>{t("prod.step.codec")} <span class="muted small">{num(found.us, 0)} µs</span></h3>{found.error ? <p class="wrong">{found.error}</p> : found.answer ? <pre>{JSON.stringify(found.answer, null, 1)}</pre> : <p class="muted">{t(`prod.codec.${found.codec as "json"}`)}</p>}</li>
            {!found.error && <li class={Object.keys(found.refused).length ? "bad" : "good"}><h3>{t("prod.step.model")}</h3>
              <table class="table"><tbody>{found.records.flatMap((r) => Object.entries(r.values).map(([name, value]) => (
                <tr><td>{tt(prop(name)?.title) || name}</td><td class="number"><b>{typeof value === "object" ? JSON.stringify(value) : String(value)}</b><span class="unit">{tt(prop(name)?.unit)}</span></td><td>{found.refused[name] ? <span class="wrong small">{found.refused[name]}</span> : <span class="closes"><Icon name="circle-check" size={14} /></span>}</td></tr>)))}</tbody></table></li>}
            {Object.keys(found.ignored).length > 0 && <li><h3>{t("prod.step.ignored")}</h3><p class="muted small">{Object.keys(found.ignored).join(", ")}</p></li>}
          </ol>
        )}
      </section>
    </div>
  );
}
