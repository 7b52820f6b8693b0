/** The dictionary: every value, setting, event, command and code that devices speak, searched; with what happened to the product. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, span, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import { limits } from "../products/page";
import * as s from "../state";
import { Crumb } from "./stats";
import type { Product, Prop } from "./types";

const KINDS = ["property", "setting", "event", "command", "code"] as const;
type Kind = (typeof KINDS)[number];
interface Entry { id: string; kind: Kind; product: Product; name: string; title: Titled; unit: Titled | null; says: string; period_s: number | null; said: string }

function entries(p: Product): Entry[] {
  const make = (kind: Kind, name: string, title: Titled, more: Partial<Entry> = {}): Entry => {
    const made = { id: `${p.key}.${kind}.${name}`, kind, product: p, name, title, unit: null, says: "", period_s: null, said: "", ...more };
    made.said = `${p.key} ${p.title.zh} ${p.title.en} ${name} ${title.zh} ${title.en} ${made.says}`.toLowerCase();
    return made;
  };
  const prop = (kind: Kind, one: Prop) => make(kind, one.name, one.title, { unit: one.unit, says: limits(one), period_s: one.period_s });
  return [
    ...p.properties.map((one) => prop("property", one)), ...p.settings.map((one) => prop("setting", one)),
    ...p.events.map((e) => make("event", e.name, e.title, { says: t("prod.level", { n: e.level }) })),
    ...p.commands.map((c) => make("command", c.name, c.title, { says: c.args.map((a) => `${tt(a.title)} ${limits(a)}`).join("；") })),
    ...p.properties.filter((one) => one.type === "enum").flatMap((one) => Object.entries(one.codes).map(([code, title]) => make("code", `${one.name} = ${code}`, title))),
  ];
}

interface Noted { at: string; class: string; action: string; actor: string; note: Record<string, unknown> | null }

function Beside({ of, onClose }: { of: Entry; onClose: () => void }) {
  const [log, setLog] = useState<Noted[] | null>(null);
  const may = s.session.value.acts.includes("device.write");
  useEffect(() => { if (may) get<{ entries: Noted[] }>(`/api/v1/devices/journal?product=${of.product.key}`).then((f) => setLog(f.entries), () => setLog([])); }, [of.product.key]);
  return (
    <aside class="dictside" aria-label={tt(of.title)}>
      <header><div class="grow"><p class="small muted">{t(`dict.${of.kind}` as Key)}</p><h2>{tt(of.title)}</h2><code class="muted">{of.name}</code></div><button class="ghost" aria-label={t("event.close.card")} onClick={onClose}><Icon name="x" /></button></header>
      <dl class="facts"><div><dt>{t("dev.product")}</dt><dd><a href={`/console/products/${of.product.key}`} onClick={(e) => { e.preventDefault(); s.go(`products/${of.product.key}`); }}>{tt(of.product.title)}</a></dd></div>
        {of.unit && <div><dt>{t("prod.unit")}</dt><dd>{tt(of.unit)}</dd></div>}{of.says && <div><dt>{t("prod.range")}</dt><dd>{of.says}</dd></div>}{of.period_s && <div><dt>{t("prod.period")}</dt><dd>{span(of.period_s)}</dd></div>}
        <div><dt>{t("prod.devices")}</dt><dd>{num(of.product.devices ?? 0)}</dd></div></dl>
      {may && <><h3>{t("dict.journal")}</h3>
        <ul class="plain dictlog">{(log ?? []).map((e) => <li><time class="muted small">{stamp(e.at)}</time><span><b>{e.action}</b> <span class="muted">{[e.note?.device ?? (e.note?.count ? `× ${String(e.note.count)}` : ""), e.actor].filter(Boolean).join(" · ")}</span></span></li>)}{log && !log.length && <li class="muted">{t("dict.journal.none")}</li>}</ul></>}
    </aside>
  );
}

export function Dictionary() {
  const [products, setProducts] = useState<Product[]>([]);
  const [words, setWords] = useState("");
  const [kind, setKind] = useState<Kind | "">("");
  const [open, setOpen] = useState<string | null>(null);
  useEffect(() => { get<{ products: Product[] }>("/api/v1/products").then((f) => setProducts(f.products), (e: Error) => s.tell(e.message, true)); }, []);
  const all = products.flatMap(entries);
  const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((e) => (!kind || e.kind === kind) && wanted.every((w) => e.said.includes(w)));
  const chosen = all.find((e) => e.id === open);
  const columns: Column<Entry>[] = [
    { key: "title", title: t("dict.entry"), cell: (e) => <span class="two"><b>{tt(e.title)}</b><code class="muted small">{e.name}</code></span> },
    { key: "kind", title: t("prod.type"), cell: (e) => <span class="nowrap">{t(`dict.${e.kind}` as Key)}</span> },
    { key: "product", title: t("dev.product"), cell: (e) => <span class="two"><span>{tt(e.product.title)}</span><code class="muted small">{e.product.key}</code></span> },
    { key: "unit", title: t("prod.unit"), cell: (e) => tt(e.unit) || <span class="muted">—</span> },
    { key: "says", title: t("prod.range"), cell: (e) => e.says || <span class="muted">—</span> },
    { key: "period", title: t("prod.period"), cell: (e) => (e.period_s ? <span class="nowrap">{span(e.period_s)}</span> : <span class="muted">—</span>) },
  ];
  const csv = () => {
    const cell = (v: string) => `"${v.replaceAll('"', '""')}"`;
    const lines = found.map((e) => [e.product.key, tt(e.product.title), e.kind, e.name, tt(e.title), tt(e.unit), e.says].map(cell).join(","));
    const url = URL.createObjectURL(new Blob([`\ufeffproduct,product_title,kind,name,title,unit,range\r\n${lines.join("\r\n")}`], { type: "text/csv" }));
    const a = document.createElement("a");
    Object.assign(a, { href: url, download: `dictionary-${lang.value}.csv` }).click();
    URL.revokeObjectURL(url);
  };
  return (
    <div class="page dev">
      <Crumb here={t("dict.title")} />
      <Head title={t("dict.title")} about={t("dict.about", { n: num(all.length), products: products.length })}><button class="btn" onClick={csv}><Icon name="download" />CSV</button></Head>
      <div class="asks"><label class="search"><Icon name="search" /><span class="sr">{t("dict.search")}</span><input type="search" id="dict-search" placeholder={t("dict.search")} value={words} maxLength={80} onInput={(e) => setWords(e.currentTarget.value)} /></label>
        <div class="spans" role="group" aria-label={t("prod.type")}>{(["", ...KINDS] as const).map((k) => <button class="btn" aria-pressed={kind === k} onClick={() => setKind(k)}>{t(k ? (`dict.${k}` as Key) : "dict.all")}</button>)}</div>
        <span class="muted small count" role="status">{t("dict.count", { n: num(found.length) })}</span></div>
      <div class={`dictsplit${chosen ? " with" : ""}`}><div class="grow"><Table columns={columns} rows={found.slice(0, 400)} label={t("dict.title")} empty={t("dict.none")} id={(e) => e.id} onOpen={(e) => setOpen(e.id)} chosen={(e) => e.id === open} /></div>
        {chosen && <Beside of={chosen} onClose={() => setOpen(null)} />}</div>
    </div>
  );
}
