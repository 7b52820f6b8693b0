/** A set of indicators as a form: source, filter, measure, window or formula, target; the one that is open is counted as one types. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import "../../common/board.css";
import { Bars } from "../../common/charts";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { placed } from "../../common/places";
import type { Titled } from "../../common/types";
import { at, Amount, Both, choices, Code, Field, loadChoices, Pick, Text, Tick, type Obj, type Option } from "./fields";
import { faultAt } from "./form";
import * as p from "./store";
import type { Json } from "./types";

interface NamedField { key: string; type: string; title: Titled | null }
interface Trial { value: number | null; was: number | null; level: string; took_ms: number; by_district: { code: string; name: string | null; value: number | null }[]; things: { code: string | null; name: string | null; value: number | null }[] }

const FORMS = ["kind", "product", "records"] as const;
const MEASURES = ["count", "sum", "mean", "share", "ratio"] as const;
const named = (group: string, keys: readonly string[]): Option[] => keys.map((key) => ({ key, title: { zh: t(`pol.${group}.${key}` as Key), en: t(`pol.${group}.${key}` as Key) } }));

/** The tree of the set: groups, and in each its indicators, those with faults marked. */
function Tree({ now, pick }: { now: string; pick(name: string): void }) {
  const groups = (at(["groups"]) ?? {}) as Obj, all = (at(["indicators"]) ?? {}) as Record<string, Obj>;
  const [seek, setSeek] = useState("");
  const fits = (name: string) => !seek || `${name} ${tt(all[name]!["title"] as never)}`.toLowerCase().includes(seek.toLowerCase());
  const add = () => {
    let n = 1;
    while (`new_${n}` in all) n += 1;
    p.put(["indicators", `new_${n}`], { group: Object.keys(groups)[0]!, title: { zh: t("pol.ind.new"), en: "New indicator" }, of: { kind: "toilet" } } as never);
    pick(`new_${n}`);
  };
  return (
    <nav class="indtree" aria-label={t("ind.title")}>
      <label class="seek"><Icon name="search" size={14} /><input aria-label={t("pol.ind.seek")} placeholder={t("pol.ind.seek")} value={seek} onInput={(e) => setSeek(e.currentTarget.value)} /></label>
      {Object.entries(groups).map(([group, title]) => {
        const mine = Object.keys(all).filter((n) => all[n]!["group"] === group && fits(n));
        return mine.length > 0 && <details open><summary><Icon name="chevron-right" size={14} /><span class="grow cut">{tt(title as never)}</span><span class="muted small">{num(mine.length)}</span></summary>
          <ul>{mine.map((name) => <li><button data-pick={name} aria-current={name === now} class={faultAt(["indicators", name]) ? "bad" : ""} onClick={() => pick(name)}><span class="cut">{tt(all[name]!["title"] as never) || name}</span></button></li>)}</ul></details>;
      })}
      {p.mayWrite() && <button class="btn addrow" data-add="indicator" onClick={add}><Icon name="plus" />{t("pol.ind.add")}</button>}
    </nav>
  );
}

/** What is counted: a kind, a product's last values, or the twin's own records. */
function SourceOf({ name, of }: { name: string; of: Obj }) {
  const c = choices.value!, path = ["indicators", name, "of"];
  const form = FORMS.find((f) => f in of) ?? "kind";
  const options = { kind: c.kinds, product: c.products, records: c.records.map((r) => ({ key: r.key, title: { zh: t(`pol.records.${r.key}` as Key), en: t(`pol.records.${r.key}` as Key) } })) }[form];
  return (
    <>
      <Field label={t("pol.ind.source")}><select aria-label={t("pol.ind.source")} value={form} onChange={(e) => { const f = e.currentTarget.value as (typeof FORMS)[number]; p.put(path, { [f]: { kind: "toilet", product: c.products[0]?.key ?? "", records: "cases" }[f] }); }}>{FORMS.map((f) => <option value={f}>{t(`pol.of.${f}`)}</option>)}</select></Field>
      <Field label={t(`pol.of.${form}`)} path={path}><Pick path={[...path, form]} label={t(`pol.of.${form}`)} options={options} /></Field>
    </>
  );
}

/** How rows become a number; each way asks for what it needs. */
function MeasureOf({ name, fields }: { name: string; fields: NamedField[] }) {
  const path = ["indicators", name, "measure"];
  const now = at(path) as Json | undefined;
  const way = now === undefined || now === "count" ? "count" : (Object.keys(now as Obj)[0] as (typeof MEASURES)[number]);
  const numbers: Option[] = fields.filter((f) => ["number", "integer"].includes(f.type)).map((f) => ({ key: f.key, title: f.title }));
  const first = numbers[0]?.key ?? "num";
  const made: Record<string, Json | undefined> = { count: undefined, sum: { sum: first }, mean: { mean: first }, share: { share: `${fields[0]?.key ?? "code"} is not null` }, ratio: { ratio: { of: first, to: first } } };
  return (
    <>
      <Field label={t("pol.ind.measure")} path={path}><select aria-label={t("pol.ind.measure")} value={way} onChange={(e) => p.put(path, made[e.currentTarget.value])}>{MEASURES.map((m) => <option value={m}>{t(`pol.measure.${m}`)}</option>)}</select></Field>
      {(way === "sum" || way === "mean") && <Field label={t("pol.ind.field")}><Pick path={[...path, way]} label={t("pol.ind.field")} options={numbers} /></Field>}
      {way === "ratio" && <><Field label={t("pol.ind.field")}><Pick path={[...path, "ratio", "of"]} label={t("pol.ind.field")} options={numbers} /></Field><Field label={t("pol.ind.to")}><Pick path={[...path, "ratio", "to"]} label={t("pol.ind.to")} options={numbers} /></Field></>}
      {way === "share" && <Field label={t("pol.ind.share")} wide path={[...path, "share"]}><Code path={[...path, "share"]} label={t("pol.ind.share")} rows={1} /></Field>}
    </>
  );
}

function WindowOf({ name, fields }: { name: string; fields: NamedField[] }) {
  const path = ["indicators", name, "window"];
  const times: Option[] = fields.filter((f) => f.type === "date" || f.type === "datetime").map((f) => ({ key: f.key, title: f.title }));
  return (
    <>
      <Field label={t("pol.ind.window")} path={path}><select aria-label={t("pol.ind.window")} value={String((at(path) as Obj | undefined)?.["field"] ?? "")} onChange={(e) => p.put(path, e.currentTarget.value ? { field: e.currentTarget.value, days: ((at(path) as Obj | undefined)?.["days"] ?? 30) as Json } : undefined)}><option value="">{t("pol.ind.window.none")}</option>{times.map((o) => <option value={o.key}>{o.title ? tt(o.title) : o.key}</option>)}</select></Field>
      {at(path) !== undefined && <Field label={t("pol.ind.days")}><Amount path={[...path, "days"]} label={t("pol.ind.days")} min={1} max={366} /></Field>}
    </>
  );
}

/** The number of the draft beside the one that runs, its districts and the first things behind it. */
function Live({ name }: { name: string }) {
  const [got, setGot] = useState<Trial | null>(null);
  const [why, setWhy] = useState("");
  const doc = p.draft.value;
  useEffect(() => {
    // What is wrong is told at its field; only a sound draft is counted.
    if (!p.mayWrite() || (p.changed.value && p.looked.value !== doc) || p.checked.value?.faults.length) return;
    let stale = false;
    const timer = setTimeout(() => {
      post<Trial>(`/api/v1/policies/indicators/${encodeURIComponent(p.one.value!.key)}/trial`, { document: doc, name }).then((one) => { if (!stale) { setGot(one); setWhy(""); } }, (e: Error) => { if (!stale) setWhy(e.message); });
    }, 100);
    return () => { stale = true; clearTimeout(timer); };
  }, [doc, name, p.looked.value]);
  if (!p.mayWrite()) return null;
  const wrong = faultAt(["indicators", name]) || why;
  const unit = tt(at(["indicators", name, "unit"]) as never);
  const decimals = Number(at(["indicators", name, "decimals"]) ?? 1);
  const bars = (got?.by_district ?? []).filter((d) => d.value !== null).sort((a, b) => b.value! - a.value!).slice(0, 8).map((d) => ({ key: d.code, label: placed(d.name) ?? d.code, value: d.value! }));
  return (
    <section class={`indlive ${got?.level ?? ""}`} aria-label={t("pol.ind.live")} aria-live="polite" data-live={name}>
      <h3>{t("pol.ind.live")}</h3>
      {wrong ? <p class="wrong small">{wrong}</p> : !got ? <p class="muted small">{t("panel.wait")}</p> : <>
        <p class="value"><b>{got.value === null ? "—" : num(got.value, decimals)}</b><span class="muted">{unit}</span></p>
        <p class="muted small">{t("pol.ind.was", { n: got.was === null ? "—" : num(got.was, decimals) })} · {t("pol.ind.took", { ms: num(got.took_ms) })}</p>
        {bars.length > 0 && <><h4>{t("pol.ind.districts")}</h4><Bars bars={bars} /></>}
        {got.things.length > 0 && <><h4>{t("pol.ind.things")}</h4><ul class="small">{got.things.map((x) => <li><span class="cut">{x.name || x.code}</span>{x.value !== null && x.value !== undefined && <b>{num(x.value)}</b>}</li>)}</ul></>}
      </>}
    </section>
  );
}

function One({ name }: { name: string }) {
  const path = ["indicators", name], of = at([...path, "of"]) as Obj | undefined;
  const [fields, setFields] = useState<NamedField[]>([]);
  const form = of && FORMS.find((f) => f in of), source = form && String(of[form]);
  useEffect(() => {
    if (!form || !source) return setFields([]);
    get<{ fields: NamedField[] }>(`/api/v1/policies/choices/fields?form=${form}&name=${encodeURIComponent(source)}`).then((got) => setFields(got.fields), () => setFields([]));
  }, [form, source]);
  const groups: Option[] = Object.entries((at(["groups"]) ?? {}) as Obj).map(([key, title]) => ({ key, title: title as never }));
  const use = (word: string) => p.put([...path, "where"], `${String(at([...path, "where"]) ?? "")}${at([...path, "where"]) ? " and " : ""}${word} `);
  const swap = (formula: boolean) => {
    const one = structuredClone(at(path)) as Obj;
    for (const key of ["of", "where", "measure", "window", "formula", "scale"]) delete one[key];
    p.put(path, { ...one, ...(formula ? { formula: "100.0 * a.b / a.c" } : { of: { kind: "toilet" } }) } as never);
  };
  const wrong = faultAt(path);
  return (
    <div class="indone" key={name}>
      <fieldset class="formside" disabled={!p.mayWrite()}>
        {wrong && <p class="wrong small" role="alert">{wrong}</p>}
        <div class="pgrid">
          <Field label={t("pol.f.title")} wide><Both path={[...path, "title"]} label={t("pol.f.title")} /></Field>
          <Field label={t("pol.ind.group")}><Pick path={[...path, "group"]} label={t("pol.ind.group")} options={groups} /></Field>
          <Field label={t("pol.ind.unit")}><Both path={[...path, "unit"]} label={t("pol.ind.unit")} /></Field>
        </div>
        <p class="modes2" role="group" aria-label={t("pol.ind.way")}><button type="button" aria-pressed={!!of} class={of ? "on" : ""} onClick={() => !of && swap(false)}>{t("pol.ind.counted")}</button><button type="button" data-way="formula" aria-pressed={!of} class={of ? "" : "on"} onClick={() => of && swap(true)}>{t("pol.ind.formula")}</button></p>
        {of ? <>
          <div class="pgrid"><SourceOf name={name} of={of} /><MeasureOf name={name} fields={fields} /><WindowOf name={name} fields={fields} />
            <Field label={t("pol.ind.where")} wide path={[...path, "where"]}><Code path={[...path, "where"]} label={t("pol.ind.where")} /></Field></div>
          <p class="fieldlist small" aria-label={t("pol.ind.fields")}>{fields.map((f) => <button type="button" title={`${f.key} · ${f.type}`} onClick={() => use(f.key)}><code>{f.key}</code>{f.title && <span class="muted">{tt(f.title)}</span>}</button>)}</p>
        </> : <Field label={t("pol.ind.formula.cel")} wide path={[...path, "formula"]}><Code path={[...path, "formula"]} label={t("pol.ind.formula.cel")} /></Field>}
        <div class="pgrid">
          <Field label={t("pol.ind.target")}><Amount path={[...path, "target"]} label={t("pol.ind.target")} step="any" /></Field>
          <Field label={t("pol.ind.warn")}><Amount path={[...path, "warn"]} label={t("pol.ind.warn")} step="any" /></Field>
          <Field label={t("pol.ind.better")}><Pick path={[...path, "better"]} label={t("pol.ind.better")} options={named("better", ["up", "down"])} none="—" /></Field>
          <Field label={t("pol.ind.decimals")}><Amount path={[...path, "decimals"]} label={t("pol.ind.decimals")} min={0} max={4} /></Field>
          <Field label={t("pol.ind.document")} wide><Text path={[...path, "document"]} label={t("pol.ind.document")} /></Field>
          <Tick path={[...path, "verified"]} label={t("pol.ind.verified")} />
        </div>
        {p.mayWrite() && <p class="ends"><button type="button" class="btn" onClick={() => p.put(path, undefined)}><Icon name="x" />{t("pol.ind.drop")}</button></p>}
      </fieldset>
      <Live name={name} />
    </div>
  );
}

export function IndicatorForm() {
  useEffect(loadChoices, []);
  const all = Object.keys((at(["indicators"]) ?? {}) as Obj);
  const [name, setName] = useState(all[0] ?? "");
  if (!choices.value) return <p class="muted">{t("panel.wait")}</p>;
  const now = all.includes(name) ? name : all[0];
  return <div class="indform"><Tree now={now ?? ""} pick={setName} />{now ? <One name={now} /> : <p class="muted">{t("pol.ind.none")}</p>}</div>;
}
