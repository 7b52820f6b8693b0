/** Products: what types of devices there are, what follows from each, and how their bytes read. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, span } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import "../devices/devices.css";
import { Crumb } from "../devices/stats";
import type { Product, Prop } from "../devices/types";
import { Debugger } from "./debugger";
import { CATEGORIES, Editor } from "./editor";

const all = signal<Product[] | null>(null);
const TABS = ["properties", "codec", "declaration"] as const;

export function limits(p: Prop): string {
  if (p.type === "boolean") return `${t("dev.yes")} / ${t("dev.no")}`;
  if (p.type === "enum") return Object.values(p.codes).map(tt).join(" / ");
  if (p.low === null && p.high === null) return "—";
  return `${p.low === null ? "−∞" : num(p.low, 2)} … ${p.high === null ? "∞" : num(p.high, 2)}`;
}

function Card({ of }: { of: Product }) {
  return (
    <a class="card" href={`/console/products/${of.key}`} onClick={(e) => { e.preventDefault(); s.go(`products/${of.key}`); }}>
      <span class="badge"><Icon name={of.icon} size={20} /></span>
      <span class="two grow"><b class="cut">{tt(of.title)}</b><code class="muted">{of.key}</code></span>
      <span class="many"><b>{num(of.devices ?? 0)}</b><span class="muted small">{t("prod.devices")}</span></span>
      <span class="names muted small">{of.properties.map((p) => tt(p.title)).join(" · ")}</span>
      <span class="feet muted small"><span>{of.protocol.toUpperCase()}</span><span>{t(`prod.codec.${of.codec}` as Key)}</span>{of.period_s && <span>{t("prod.every", { span: span(of.period_s) })}</span>}</span>
    </a>
  );
}

function List() {
  useEffect(() => { get<{ products: Product[] }>("/api/v1/products").then((f) => (all.value = f.products), (why: Error) => s.tell(why.message, true)); }, []);
  const groups = CATEGORIES.filter((g) => all.value?.some((p) => p.category === g));
  return (
    <div class="page dev prod">
      <Head title={t("prod.title")} about={all.value ? t("prod.about", { n: all.value.length, devices: num(all.value.reduce((n, p) => n + (p.devices ?? 0), 0)) }) : t("dev.loading")}>
        {s.session.value.acts.includes("device.write") && <button class="btn main" onClick={() => s.go("products/new")}><Icon name="plus" />{t("prod.add")}</button>}
      </Head>
      {groups.map((g) => <section><h2>{t(`prod.category.${g}` as Key)}</h2><div class="cards">{all.value!.filter((p) => p.category === g).map((p) => <Card of={p} />)}</div></section>)}
    </div>
  );
}

const columns = (): Column<Prop>[] => [
  { key: "title", title: t("prod.property"), cell: (p) => <span class="two"><b>{tt(p.title)}</b><code class="muted">{p.name}</code></span> },
  { key: "type", title: t("prod.type"), cell: (p) => t(`prod.type.${p.type}` as Key) },
  { key: "unit", title: t("prod.unit"), cell: (p) => tt(p.unit) || <span class="muted">—</span> },
  { key: "range", title: t("prod.range"), cell: (p) => limits(p) },
  { key: "period", title: t("prod.period"), cell: (p) => (p.period_s ? span(p.period_s) : <span class="muted">—</span>) },
];

function Detail({ name }: { name: string }) {
  const [of, setOf] = useState<(Product & { declaration: Record<string, unknown>; example: Record<string, unknown> }) | null>(null);
  const [why, setWhy] = useState("");
  const [tab, setTab] = useState<(typeof TABS)[number]>("properties");
  useEffect(() => { setOf(null); get<typeof of>(`/api/v1/products/${name}`).then(setOf, (e: Error) => setWhy(e.message)); }, [name]);
  if (!of) return <div class="page dev"><Crumb here={name} root="products" />{why && <p class="empty" role="alert">{why}</p>}</div>;
  const keep = of.retention;
  const keys = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = (TABS.indexOf(tab) + step + TABS.length) % TABS.length;
    setTab(TABS[next]!);
    ((e.currentTarget as HTMLElement).children[next] as HTMLElement).focus();
  };
  return (
    <div class="page dev prod">
      <Crumb here={tt(of.title)} root="products" />
      <header class="head">
        <span class="badge"><Icon name={of.icon} size={22} /></span>
        <div class="grow"><h1>{tt(of.title)}</h1><p class="muted"><code>{of.key}</code> · {t("prod.version", { n: of.version })}{of.note && ` · ${tt(of.note)}`}</p></div>
        <div class="acts"><a class="btn" href={`/api/v1/products/${of.key}/td`}>WoT TM</a><a class="btn" href={`/api/v1/products/${of.key}/schema.json`}>JSON Schema</a>
          {s.session.value.acts.includes("device.write") && <button class="btn" onClick={() => s.go(`products/${of.key}/edit`)}><Icon name="file-text" />{t("prod.edit")}</button>}</div>
      </header>
      <dl class="facts wide">
        <div><dt>{t("prod.kind")}</dt><dd><code>{of.kind}</code></dd></div><div><dt>{t("prod.protocol")}</dt><dd>{of.protocol.toUpperCase()}</dd></div>
        <div><dt>{t("prod.codec")}</dt><dd>{t(`prod.codec.${of.codec}` as Key)}</dd></div>
        <div><dt>{t("prod.keep")}</dt><dd>{t("prod.keep.days", { raw: num(keep.raw_days), minute: num(keep.minute_days), hour: num(keep.hour_days) })}</dd></div>
      </dl>
      <div class="tabs" role="tablist" aria-label={tt(of.title)} onKeyDown={keys}>{TABS.map((k) => <button role="tab" id={`tab-${k}`} aria-selected={tab === k} aria-controls="tabpanel" tabIndex={tab === k ? 0 : -1} onClick={() => setTab(k)}>{t(`prod.tab.${k}`)}</button>)}</div>
      <div role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`} class="panel">
        {tab === "properties" && <div class="model"><Table columns={columns()} rows={of.properties} label={t("prod.tab.properties")} />
          <div class="columns three">
            <section><h2>{t("prod.settings")}</h2><ul class="plain">{of.settings.map((p) => <li><b>{tt(p.title)}</b> <span class="muted">{tt(p.unit)} {limits(p)}</span></li>)}{!of.settings.length && <li class="muted">—</li>}</ul></section>
            <section><h2>{t("prod.commands")}</h2><ul class="plain">{of.commands.map((c) => <li><b>{tt(c.title)}</b> <span class="muted">{c.args.map((a) => tt(a.title)).join(", ")}</span></li>)}{!of.commands.length && <li class="muted">—</li>}</ul></section>
            <section><h2>{t("prod.events")}</h2><ul class="plain">{of.events.map((e) => <li class={`level${e.level}`}><b>{tt(e.title)}</b> <span class="muted">{t("prod.level", { n: e.level })}</span></li>)}{!of.events.length && <li class="muted">—</li>}</ul></section>
          </div></div>}
        {tab === "codec" && <Debugger product={of} vectors={((of.declaration.codec as { vectors?: { payload: string; port?: number }[] } | undefined)?.vectors ?? [])} />}
        {tab === "declaration" && <pre class="source" tabIndex={0}>{JSON.stringify(of.declaration, null, 2)}</pre>}
      </div>
    </div>
  );
}

export default function Page() {
  const [, one, two] = s.path.value.split("/");
  if (one === "new") return <Editor key="new" />;
  if (one && two === "edit") return <Editor key={one} product={one} />;
  return one ? <Detail key={one} name={one} /> : <List />;
}
