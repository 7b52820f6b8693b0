/** The form of a linkage: when, and only if, then; tried over the past before it is published. */
import { useEffect, useState } from "preact/hooks";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import * as s from "../state";
import * as k from "./linkstore";
import { ACTIONS, FORMS, formOf, nameOf, TARGETS, type Action, type ActionName, type Command, type Form, type LinkDoc, type Trigger } from "./linktypes";

type Put<T> = (next: T) => void;
const SIGNS = ["above", "below", "is"] as const;
const numberOf = (said: string): number | undefined => (said.trim() === "" ? undefined : Number(said));

function emptyTrigger(form: Form): Trigger {
  const p = k.products.value.find((x) => x.properties.some((y) => y.type === "number"));
  if (form === "value") return { value: { product: p?.key ?? "", property: p?.main ?? p?.properties[0]?.name ?? "", above: 0 } };
  if (form === "alarm") return { alarm: { rule: [...k.ruleTitles.value.keys()][0] ?? "*" } };
  return form === "at" ? { at: { time: "22:00" } } : { manual: true };
}

function emptyAction(name: ActionName): Action {
  const p = k.products.value.find((x) => x.commands.length);
  if (name === "command") return { command: { product: p?.key ?? "", name: p?.commands[0]?.name ?? "", to: { all: true } } };
  if (name === "notice") return { notice: { groups: k.groups.value.slice(0, 1).map((g) => g.key) } };
  return name === "alarm" ? { alarm: { level: 2 } } : { case: { category: k.categories.value[0]?.key ?? "" } };
}

function Choice({ label, value, options, set, name }: { label: string; value: string; options: [string, string][]; set: Put<string>; name?: string }) {
  return <label class="field"><span>{label}</span><select name={name} value={value} onChange={(e) => set(e.currentTarget.value)}>{!options.some(([o]) => o === value) && <option value={value}>{value}</option>}{options.map(([o, title]) => <option key={o} value={o}>{title}</option>)}</select></label>;
}

function WhenValue({ of, set }: { of: NonNullable<Trigger["value"]>; set: Put<Trigger> }) {
  const product = k.products.value.find((p) => p.key === of.product);
  const prop = product?.properties.find((p) => p.name === of.property);
  const word = SIGNS.find((w) => w in of) ?? "above";
  const said = of[word];
  const put = (next: Partial<typeof of>) => set({ value: { ...of, ...next } });
  const compare = (sign: string, value: unknown) => { const { above: _a, below: _b, is: _i, ...rest } = of; set({ value: { ...rest, [sign]: value } as typeof of }); };
  const value = (raw: string) => (prop?.type === "boolean" ? raw === "true" : prop?.type === "enum" ? raw : (numberOf(raw) ?? 0));
  return (
    <>
      <Choice label={t("dev.product")} name="product" value={of.product} options={k.products.value.map((p) => [p.key, tt(p.title)])} set={(key) => { const p = k.products.value.find((x) => x.key === key)!; set({ value: { product: key, property: p.main ?? p.properties[0]!.name, above: 0 } }); }} />
      <Choice label={t("prod.property")} name="property" value={of.property} options={(product?.properties ?? []).filter((p) => p.type !== "text").map((p) => [p.name, `${tt(p.title)}${p.unit ? ` (${tt(p.unit)})` : ""}`])} set={(property) => put({ property })} />
      <div class="pair"><Choice label={t("lnk.compare")} value={word} options={SIGNS.map((w) => [w, t(`lnk.sign.${w}` as Key)])} set={(w) => compare(w, said)} />
        <label class="field"><span>{t("lnk.limit")}</span><input name="limit" value={String(said ?? "")} onInput={(e) => compare(word, value(e.currentTarget.value))} /></label></div>
      {word !== "is" && <label class="field"><span>{t("lnk.clear")}</span><input type="number" step="any" value={of.clear ?? ""} onInput={(e) => put({ clear: numberOf(e.currentTarget.value) })} /></label>}
    </>
  );
}

function When({ of, set }: { of: Trigger; set: Put<Trigger> }) {
  const form = Object.keys(of)[0] as Form;
  return (
    <fieldset class="lnkpart"><legend><i class="step">1</i>{t("lnk.when")}</legend>
      <div class="switch" role="radiogroup" aria-label={t("lnk.when")}>{FORMS.map((f) => <button type="button" role="radio" aria-checked={f === form} aria-pressed={f === form} data-form={f} onClick={() => set(emptyTrigger(f))}>{t(`lnk.form.${f}` as Key)}</button>)}</div>
      {of.value && <WhenValue of={of.value} set={set} />}
      {of.alarm && <div class="pair"><Choice label={t("alm.rule")} value={of.alarm.rule} options={[["*", t("lnk.any")], ...[...k.ruleTitles.value].map(([key, title]) => [key, tt(title)] as [string, string])]} set={(rule) => set({ alarm: { ...of.alarm!, rule } })} />
        <Choice label={t("lnk.level")} value={String(of.alarm.level ?? 4)} options={[1, 2, 3, 4].map((n) => [String(n), t("lnk.level.n", { n })])} set={(n) => set({ alarm: { ...of.alarm!, level: Number(n) } })} /></div>}
      {of.at && <div class="pair"><label class="field"><span>{t("lnk.time")}</span><input type="time" required value={of.at.time} onInput={(e) => set({ at: { ...of.at!, time: e.currentTarget.value } })} /></label>
        <div class="field"><span>{t("lnk.days")}</span><div class="switch week">{[1, 2, 3, 4, 5, 6, 7].map((d) => { const days = of.at!.days ?? [1, 2, 3, 4, 5, 6, 7]; const on = days.includes(d); const next = on ? days.filter((x) => x !== d) : [...days, d].sort(); return <button type="button" aria-pressed={on} onClick={() => next.length && set({ at: { ...of.at!, days: next } })}>{t(`fence.day.${d}` as Key)}</button>; })}</div></div></div>}
      {of.manual && <p class="muted small">{t("lnk.manual.about")}</p>}
    </fieldset>
  );
}

function CommandForm({ of, placed, set }: { of: Command; placed: boolean; set: Put<Action> }) {
  const product = k.products.value.find((p) => p.key === of.product);
  const command = product?.commands.find((c) => c.name === of.name);
  const put = (next: Partial<Command>) => set({ command: { ...of, ...next } });
  const [word, said] = Object.entries(of.to)[0] ?? ["all", true];
  const words = TARGETS.filter((w) => placed || w === "all");
  const arg = (name: string, type: string, raw: string | boolean) => { const args = { ...(of.args ?? {}) }; if (raw === "") delete args[name]; else args[name] = typeof raw === "boolean" ? raw : type === "text" || type === "enum" ? raw : Number(raw); put({ args }); };
  return (
    <>
      <div class="pair"><Choice label={t("dev.product")} value={of.product} options={k.products.value.filter((p) => p.commands.length).map((p) => [p.key, tt(p.title)])} set={(key) => put({ product: key, name: k.products.value.find((p) => p.key === key)!.commands[0]!.name, args: {} })} />
        <Choice label={t("lnk.command")} value={of.name} options={(product?.commands ?? []).map((c) => [c.name, tt(c.title)])} set={(name) => put({ name, args: {} })} /></div>
      {command && command.args.length > 0 && <div class="pair">{command.args.map((a) => a.type === "boolean"
        ? <Choice key={a.name} label={tt(a.title)} value={String(of.args?.[a.name] ?? "")} options={[["", "—"], ["true", t("dev.yes")], ["false", t("dev.no")]]} set={(v) => arg(a.name, a.type, v === "" ? "" : v === "true")} />
        : <label class="field" key={a.name}><span>{tt(a.title)}{a.unit && <span class="unit">{tt(a.unit)}</span>}</span><input value={String(of.args?.[a.name] ?? "")} onInput={(e) => arg(a.name, a.type, e.currentTarget.value)} /></label>)}</div>}
      <div class="pair"><Choice label={t("lnk.to")} value={word} options={words.map((w) => [w, t(`lnk.to.${w}` as Key, { n: 500 })])} set={(w) => put({ to: w === "near_m" ? { near_m: 500 } : w === "district" ? { district: "same" } : { [w]: true } })} />
        {word === "near_m" && <label class="field"><span>{t("lnk.metres")}</span><input type="number" min={1} max={20000} value={Number(said)} onInput={(e) => put({ to: { near_m: Number(e.currentTarget.value) } })} /></label>}
        <label class="field"><span>{t("lnk.changes")}</span><input placeholder={t("lnk.changes.all")} value={of.changes?.join(", ") ?? ""} onInput={(e) => { const raw = e.currentTarget.value.trim(); put({ changes: raw === "" ? undefined : raw === "-" ? [] : raw.split(/[,，\s]+/).filter(Boolean) }); }} /></label></div>
    </>
  );
}

function Then({ of, placed, set, drop, at }: { of: Action; placed: boolean; set: Put<Action>; drop: () => void; at: number }) {
  const name = nameOf(of);
  return (
    <div class="lnkaction">
      <header><Choice label={t("lnk.action.n", { n: at + 1 })} value={name} options={ACTIONS.map((a) => [a, t(`lnk.action.${a}` as Key)])} set={(a) => set(emptyAction(a as ActionName))} /><button type="button" class="ghost" aria-label={t("lnk.drop", { n: at + 1 })} onClick={drop}><Icon name="x" /></button></header>
      {of.command && <CommandForm of={of.command} placed={placed} set={set} />}
      {of.notice && <div class="chipset" role="group" aria-label={t("lnk.action.notice")}>{k.groups.value.map((g) => { const on = (of.notice!.groups ?? []).includes(g.key); return <button type="button" class={on ? "on" : ""} aria-pressed={on} onClick={() => { const groups = on ? of.notice!.groups!.filter((x) => x !== g.key) : [...(of.notice!.groups ?? []), g.key]; set({ notice: { ...of.notice, groups } }); }}>{tt(g.title)}</button>; })}</div>}
      {of.alarm && <Choice label={t("lnk.level")} value={String(of.alarm.level)} options={[1, 2, 3, 4].map((n) => [String(n), t("lnk.level.to", { n })])} set={(n) => set({ alarm: { level: Number(n) } })} />}
      {of.case && <div class="pair"><Choice label={t("report.category")} value={of.case.category} options={k.categories.value.map((c) => [c.key, tt(c.title)])} set={(category) => set({ case: { ...of.case!, category } })} />
        <label class="field"><span>{t("lnk.words")}</span><input maxLength={500} value={of.case.words ?? ""} onInput={(e) => set({ case: { ...of.case!, words: e.currentTarget.value || undefined } })} /></label></div>}
    </div>
  );
}

const FRESH: LinkDoc = { key: "", title: { zh: "", en: "" }, enabled: true, trigger: { manual: true }, quiet: "10m", actions: [] };

export function LinkForm({ of, onDone, onClose }: { of: LinkDoc | null; onDone: (key: string) => void; onClose: () => void }) {
  const [doc, setDoc] = useState<LinkDoc>(of ? structuredClone(of) : { ...FRESH, trigger: emptyTrigger("value"), actions: [emptyAction("command")] });
  const [faults, setFaults] = useState<{ path: (string | number)[]; why: string }[]>([]);
  const [trial, setTrial] = useState<Awaited<ReturnType<typeof k.attempt>> | null>(null);
  const [days, setDays] = useState(7);
  const [busy, setBusy] = useState(false);
  const put = (next: Partial<LinkDoc>) => { setDoc({ ...doc, ...next }); setTrial(null); };
  const whole = (): LinkDoc => ({ ...doc, title: { zh: doc.title.zh, en: doc.title.en || doc.title.zh }, when: doc.when?.trim() || undefined });
  useEffect(() => { if (!doc.key) return; const timer = setTimeout(() => k.check(whole()).then((x) => setFaults(x.faults), (e: Error) => setFaults([{ path: [], why: e.message }])), 500); return () => clearTimeout(timer); }, [doc]);
  const doing = async (what: () => Promise<void>) => { setBusy(true); try { await what(); } catch (e) { setFaults([{ path: [], why: (e as Error).message }]); } setBusy(false); };
  const go = (e: SubmitEvent) => { e.preventDefault(); void doing(async () => { const done = await k.publish(whole(), t("lnk.note")); s.tell(t(done.changed ? "alm.published" : "alm.same", { v: done.version })); onDone(doc.key); }); };
  const form = formOf(doc);
  return (
    <form class="lnkform" onSubmit={go}>
      <div class="pair"><label class="field"><span>{t("prod.name.zh")}</span><input name="zh" required maxLength={120} value={doc.title.zh} onInput={(e) => put({ title: { ...doc.title, zh: e.currentTarget.value } })} /></label>
        <label class="field"><span>{t("prod.name.en")}</span><input name="en" maxLength={120} value={doc.title.en} onInput={(e) => put({ title: { ...doc.title, en: e.currentTarget.value } })} /></label></div>
      <div class="pair"><label class="field"><span>{t("prod.key")}</span><input name="key" required readOnly={!!of} pattern="[a-z][a-z0-9_]*(\.[a-z0-9_]+)*" maxLength={64} value={doc.key} onInput={(e) => put({ key: e.currentTarget.value })} /></label>
        <label class="field"><span>{t("lnk.quiet")}</span><input pattern="[0-9]+(\.[0-9]+)?(s|m|h|d)" value={doc.quiet ?? ""} placeholder="10m" onInput={(e) => put({ quiet: e.currentTarget.value || undefined })} /></label></div>
      <When of={doc.trigger} set={(trigger) => put({ trigger })} />
      <fieldset class="lnkpart"><legend><i class="step">2</i>{t("lnk.if")}</legend><label class="field"><span class="sr">{t("lnk.if")}</span><textarea class="code" rows={2} placeholder="v.battery_pct > 20.0 && t.district == '310104'" value={doc.when ?? ""} onInput={(e) => put({ when: e.currentTarget.value })} /></label><p class="muted small">{t("lnk.if.about")}</p></fieldset>
      <fieldset class="lnkpart"><legend><i class="step">3</i>{t("lnk.then")}</legend>
        {doc.actions.map((a, i) => <Then key={i} at={i} of={a} placed={form === "value" || form === "alarm"} set={(next) => put({ actions: doc.actions.map((x, n) => (n === i ? next : x)) })} drop={() => put({ actions: doc.actions.filter((_, n) => n !== i) })} />)}
        <button type="button" class="btn" onClick={() => put({ actions: [...doc.actions, emptyAction("notice")] })}><Icon name="plus" />{t("lnk.add")}</button></fieldset>
      {faults.map((f) => <p class="wrong" role="alert">{f.path.length > 0 && <code>{f.path.join(".")}</code>} {f.why}</p>)}
      {trial && <section class="trial" aria-label={t("alm.trial")}><p><b class="big">{num(trial.changed)}</b>{t("lnk.trial", { days, read: num(trial.read) })}</p><ul class="members">{trial.moved.slice(0, 10).map((m) => <li><span class="grow cut">{m.title}</span><span class="muted small">{m.from} → {m.to}</span></li>)}</ul></section>}
      <div class="does"><label><span class="sr">{t("alm.trial.days")}</span><select value={days} onChange={(e) => setDays(Number(e.currentTarget.value))}>{[1, 7, 30, 90].map((n) => <option value={n}>{t("alm.days", { n })}</option>)}</select></label>
        <button type="button" class="btn" disabled={busy || !doc.key || faults.length > 0} onClick={() => void doing(async () => setTrial(await k.attempt(whole(), days)))}><Icon name="history" />{t("alm.try")}</button>
        <button class="btn main" disabled={busy || faults.length > 0 || !doc.actions.length}>{t("alm.publish")}</button><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button></div>
    </form>
  );
}
