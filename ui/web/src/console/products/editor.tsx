/** A product made or extended: its properties in a table, its codec, what follows, then published. */
import { useEffect, useState } from "preact/hooks";
import { get, Problem } from "../../common/api";
import { Icon } from "../../common/icon";
import { t, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import * as s from "../state";
import { Crumb } from "../devices/stats";
import type { Product } from "../devices/types";
import { Debugger } from "./debugger";

interface Row { name: string; zh: string; en: string; type: string; unit: string; low: string; high: string; period: string; codes: string; more?: Record<string, unknown> }
type Doc = Record<string, unknown> & { properties?: Record<string, Record<string, unknown>>; title?: { zh: string; en: string }; codec?: Record<string, unknown> };
interface Checked { product: Product; new: boolean; unchanged: boolean; added: string[]; vectors: number; wrong_vectors: { payload: string; error: string | null; got: unknown; expected: unknown }[] }

export const CATEGORIES = ["sanitation", "greening", "forestry", "appearance", "landscape", "water", "environment", "vehicle", "people", "video"];
const TYPES = ["number", "integer", "boolean", "enum", "text"];
const EMPTY: Row = { name: "", zh: "", en: "", type: "number", unit: "", low: "", high: "", period: "", codes: "" };

function toRows(doc: Doc): Row[] {
  return Object.entries(doc.properties ?? {}).map(([name, p]) => {
    const { title, type, unit, low, high, period_s, codes, ...more } = p as Record<string, never> & { title: { zh: string; en: string }; codes?: Record<string, { zh: string; en: string }> };
    const text = (v: unknown) => (v === undefined ? "" : String(v));
    return { name, zh: title.zh, en: title.en, type: (type as string) ?? "number", unit: text(unit), low: text(low), high: text(high), period: text(period_s), codes: Object.entries(codes ?? {}).map(([k, v]) => `${k}=${v.zh}/${v.en}`).join("; "), more };
  });
}

function toProperties(rows: Row[]): Record<string, unknown> {
  return Object.fromEntries(rows.filter((r) => r.name).map((r) => [r.name, {
    ...r.more, title: { zh: r.zh || r.en || r.name, en: r.en || r.zh || r.name }, ...(r.type === "number" ? {} : { type: r.type }), ...(r.unit && { unit: r.unit }),
    ...(r.low !== "" && { low: Number(r.low) }), ...(r.high !== "" && { high: Number(r.high) }), ...(r.period !== "" && { period_s: Number(r.period) }),
    ...(r.type === "enum" && { codes: Object.fromEntries(r.codes.split(";").map((c) => c.trim()).filter(Boolean).map((c) => { const [k, v = ""] = c.split("="); const [zh, en] = v.split("/"); return [k!.trim(), { zh: (zh || k)!.trim(), en: (en || zh || k)!.trim() }]; })) }),
  }]));
}

async function ask<T>(path: string, source: string): Promise<T> {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: source });
  const said = await response.json();
  if (!response.ok) throw new Problem(response.status, said.code, said.detail);
  return said as T;
}

export function Editor({ product }: { product?: string }) {
  const [doc, setDoc] = useState<Doc>({ key: "", title: { zh: "", en: "" }, kind: "sensor", category: "environment", thing: { type: "other" } });
  const [rows, setRows] = useState<Row[]>([{ ...EMPTY }]);
  const [codec, setCodec] = useState("");
  const [checked, setChecked] = useState<Checked | null>(null);
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (product) get<{ declaration: Doc }>(`/api/v1/products/${product}`).then((f) => { setDoc(f.declaration); setRows(toRows(f.declaration)); setCodec(f.declaration.codec ? JSON.stringify(f.declaration.codec, null, 2) : ""); }, (e: Error) => setWhy(e.message));
  }, [product]);
  const source = () => {
    const made: Doc = { ...doc, properties: toProperties(rows) as Doc["properties"] };
    if (codec.trim()) made.codec = JSON.parse(codec) as Record<string, unknown>; else delete made.codec;
    if (!made.title?.en) made.title = { zh: made.title?.zh ?? "", en: made.title?.zh ?? "" };
    return JSON.stringify(made);
  };
  const check = async (): Promise<Checked | null> => {
    try {
      const found = await ask<Checked>("/api/v1/products/check", source());
      setChecked(found); setWhy("");
      return found;
    } catch (e) { setChecked(null); setWhy((e as Error).message); return null; }
  };
  const publish = async (e: SubmitEvent) => {
    e.preventDefault();
    setBusy(true);
    try {
      if (!(await check())) return;
      const asked = await ask<{ follow: string; plan: Checked }>("/api/v1/products", source());
      for (let i = 0; i < 120; i++) {
        const job = await get<{ state: string; error: string | null }>(asked.follow);
        if (job.state === "done") { s.tell(t("prod.published")); s.go(`products/${asked.plan.product.key}`); return; }
        if (job.state === "failed") throw new Error(job.error ?? job.state);
        await new Promise((done) => setTimeout(done, 500));
      }
      throw new Error(t("prod.waits"));
    } catch (e) { setWhy((e as Error).message); } finally { setBusy(false); }
  };
  const set = (i: number, key: keyof Row, value: string) => setRows(rows.map((r, n) => (n === i ? { ...r, [key]: value } : r)));
  const cell = (r: Row, i: number, key: "name" | "zh" | "en" | "unit" | "low" | "high" | "period" | "codes", label: Key, extra: Record<string, unknown> = {}) => <td><input aria-label={`${t(label)} ${i + 1}`} data-cell={`${key}-${i}`} value={r[key]} onInput={(e) => set(i, key, e.currentTarget.value)} {...extra} /></td>;
  const text = (key: "zh" | "en") => (e: { currentTarget: HTMLInputElement }) => setDoc({ ...doc, title: { ...(doc.title ?? { zh: "", en: "" }), [key]: e.currentTarget.value } });
  return (
    <div class="page dev prod editor">
      <Crumb here={product ? doc.title?.zh || product : t("prod.add")} root="products" />
      <Head title={t(product ? "prod.edit.title" : "prod.add")} about={t("prod.editor.about")} />
      <form onSubmit={publish}>
        <div class="four">
          <label class="field"><span>{t("prod.name.zh")}</span><input id="prod-zh" required maxLength={100} value={doc.title?.zh ?? ""} onInput={text("zh")} /></label>
          <label class="field"><span>{t("prod.name.en")}</span><input id="prod-en" maxLength={100} value={doc.title?.en ?? ""} onInput={text("en")} /></label>
          <label class="field"><span>{t("prod.key")}</span><input id="prod-key" required readOnly={!!product} pattern="[a-z][a-z0-9_]{1,39}" maxLength={40} value={String(doc.key ?? "")} onInput={(e) => setDoc({ ...doc, key: e.currentTarget.value })} /></label>
          <label class="field"><span>{t("prod.category")}</span><select value={String(doc.category)} onChange={(e) => setDoc({ ...doc, category: e.currentTarget.value })}>{CATEGORIES.map((c) => <option value={c}>{t(`prod.category.${c}` as Key)}</option>)}</select></label>
        </div>
        <h2>{t("prod.tab.properties")}</h2>
        <div class="tablebox"><table class="table edit"><thead><tr>{(["prod.col.name", "prod.name.zh", "prod.name.en", "prod.type", "prod.unit", "prod.low", "prod.high", "prod.period.s", "prod.codes"] as Key[]).map((k) => <th scope="col">{t(k)}</th>)}<th /></tr></thead>
          <tbody>{rows.map((r, i) => (
            <tr>{cell(r, i, "name", "prod.col.name", { pattern: "[a-z][a-z0-9_]{0,39}", maxLength: 40, placeholder: "level_pct" })}{cell(r, i, "zh", "prod.name.zh", { maxLength: 60 })}{cell(r, i, "en", "prod.name.en", { maxLength: 60 })}
              <td><select aria-label={`${t("prod.type")} ${i + 1}`} value={r.type} onChange={(e) => set(i, "type", e.currentTarget.value)}>{TYPES.map((k) => <option value={k}>{t(`prod.type.${k}` as Key)}</option>)}</select></td>
              {cell(r, i, "unit", "prod.unit", { maxLength: 20, class: "narrow" })}{cell(r, i, "low", "prod.low", { type: "number", step: "any", class: "narrow" })}{cell(r, i, "high", "prod.high", { type: "number", step: "any", class: "narrow" })}{cell(r, i, "period", "prod.period.s", { type: "number", min: 0, step: "any", class: "narrow" })}
              {r.type === "enum" ? cell(r, i, "codes", "prod.codes", { placeholder: "on=开/On; off=关/Off" }) : <td class="muted">—</td>}
              <td><button type="button" class="ghost" aria-label={t("prod.row.drop", { n: r.name || i + 1 })} onClick={() => setRows(rows.filter((_, n) => n !== i))}><Icon name="x" /></button></td></tr>))}</tbody></table></div>
        <button type="button" class="btn more" onClick={() => setRows([...rows, { ...EMPTY }])}><Icon name="plus" />{t("prod.row.add")}</button>
        <details open={!!codec}><summary>{t("prod.codec")} <span class="muted small">{t("prod.codec.hint")}</span></summary><label class="field"><span>JSON</span><textarea rows={10} spellcheck={false} value={codec} onInput={(e) => setCodec(e.currentTarget.value)} /></label></details>
        {why && <p class="wrong" role="alert">{why}</p>}
        {checked && <div class="checked" role="status"><p><Icon name={checked.wrong_vectors.length ? "triangle-alert" : "circle-check"} size={16} /> {t(checked.new ? "prod.check.new" : checked.unchanged ? "prod.check.same" : "prod.check.more", { n: checked.added.length, names: checked.added.join(", ") })} {checked.vectors > 0 && t("prod.check.vectors", { ok: checked.vectors - checked.wrong_vectors.length, n: checked.vectors })}</p>
          {checked.wrong_vectors.map((v) => <p class="wrong small"><code>{v.payload}</code> {v.error ?? JSON.stringify(v.got)}</p>)}</div>}
        <div class="ends"><button type="button" class="btn" onClick={() => void check()}><Icon name="check" />{t("prod.check")}</button><button class="btn main" disabled={busy}><Icon name="send" />{t("prod.publish")}</button></div>
      </form>
      {checked && codec.trim() && <section><h2>{t("prod.debug")}</h2><Debugger product={checked.product} vectors={(JSON.parse(codec) as { vectors?: { payload: string }[] }).vectors ?? []} declaration={source()} /></section>}
    </div>
  );
}
