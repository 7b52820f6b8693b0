/** Devices: all of them, how they stand and what they lost; one of them is a page of its own. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { Head } from "../parts/head";
import { Strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Add } from "./add";
import { Detail } from "./detail";
import "./devices.css";
import { Battery, Stands, Value } from "./parts";
import { DeviceMap } from "./map";
import { Dictionary } from "./dictionary";
import { Provision } from "./provision";
import { Reports } from "./reports";
import { Books } from "./stats";
import type { Device, State, Statistics } from "./types";
import { placed } from "../../common/places";

const rows = signal<Device[] | null>(null);
const next = signal<string | null>(null);
const words = signal("");
const product = signal("");
const standing = signal<State | "">("");
const figures = signal<Statistics | null>(null);
const adding = signal(false);
let asked = 0;

async function load(more = false): Promise<void> {
  const mine = ++asked;
  const query = new URLSearchParams({ limit: "200" });
  if (product.value) query.set("product", product.value);
  if (words.value.trim()) query.set("q", words.value.trim());
  if (more && next.value) query.set("after", next.value);
  try {
    const found = await get<{ devices: Device[]; next: string | null }>(`/api/v1/devices?${query}`);
    if (mine !== asked) return;
    rows.value = more ? [...(rows.value ?? []), ...found.devices] : found.devices;
    next.value = found.next;
  } catch (why) {
    s.tell((why as Error).message, true);
  }
}

const columns = (): Column<Device>[] => [
  { key: "device", title: t("dev.device"), cell: (d) => <span class="two"><b>{d.name || d.device}</b><span class="muted small">{d.device}</span></span> },
  { key: "place", title: t("dev.place"), cell: (d) => <span class="nowrap">{[placed(d.district_name), placed(d.street_name)].filter(Boolean).join(" ") || <span class="muted">—</span>}</span> },
  { key: "main", title: t("dev.value"), number: true, cell: (d) => <Value of={d.main} /> },
  { key: "what", title: "", cell: (d) => <span class="muted small nowrap">{tt(d.main?.title)}</span> },
  { key: "battery", title: t("dev.battery"), cell: (d) => <Battery pct={d.battery_pct} /> },
  { key: "state", title: t("dev.state"), cell: (d) => <Stands state={d.state} heard={d.heard_at} /> },
];

function Tree({ data }: { data: Statistics | null }) {
  const line = (key: string, label: string, n: number, silent: number, icon: string) => (
    <button aria-current={product.value === key ? "true" : undefined} onClick={() => { product.value = key; void load(); }}>
      <Icon name={icon} size={16} /><span class="cut grow">{label}</span>{silent > 0 && <em title={t("dev.silent.n", { n: silent })}>{num(silent)}</em>}<i>{num(n)}</i>
    </button>
  );
  const all = data?.products ?? [];
  const sum = (key: "devices" | "silent") => all.reduce((n, p) => n + p[key], 0);
  return <nav class="tree" aria-label={t("dev.products")}>{line("", t("dev.all"), sum("devices"), sum("silent"), "layers")}{all.map((p) => line(p.product, tt(p.title), p.devices, p.silent, p.icon))}</nav>;
}

function Figures({ data }: { data: Statistics | null }) {
  const all = (data?.products ?? []).filter((p) => !product.value || p.product === product.value);
  const sum = (key: "devices" | "live" | "silent" | "never" | "revoked") => all.reduce((n, p) => n + p[key], 0);
  const states: State[] = ["live", "silent", "never", "revoked"];
  return (
    <div class="standing" role="group" aria-label={t("dev.state")}>
      {states.map((state) => (
        <button aria-pressed={standing.value === state} class={state} onClick={() => (standing.value = standing.value === state ? "" : state)}>
          <span class="stands"><i aria-hidden="true" />{t(`dev.state.${state}`)}</span><b>{data ? num(sum(state)) : "–"}</b>
        </button>
      ))}
    </div>
  );
}

function List() {
  useEffect(() => {
    void load();
    const refresh = () => get<Statistics>("/api/v1/devices/statistics").then((found) => (figures.value = found), (why: Error) => s.tell(why.message, true));
    void refresh();
    const timer = setInterval(() => { if (!document.hidden) { void refresh(); if (!next.value) void load(); } }, 15_000);
    return () => clearInterval(timer);
  }, []);
  const may = s.session.value.acts.includes("device.write");
  const shown = (rows.value ?? []).filter((d) => !standing.value || d.state === standing.value);
  // Sheets are of one kind, and an address holds so many codes.
  const labelled = shown.filter((d) => d.kind === shown[0]!.kind).slice(0, 160);
  const total = figures.value?.products.reduce((n, p) => n + p.devices, 0);
  return (
    <div class="page dev">
      <Head title={t("dev.title")} about={total === undefined ? t("dev.loading") : t("dev.about", { n: num(total), products: figures.value!.products.length })}>
        <a class="btn" href="/console/devices/map" onClick={(e) => { e.preventDefault(); s.go("devices/map"); }}><Icon name="map" />{t("dev.map.title")}</a>
        <a class="btn" href="/console/devices/statistics" onClick={(e) => { e.preventDefault(); s.go("devices/statistics"); }}><Icon name="scale" />{t("dev.books")}</a>
        <a class="btn" href="/console/devices/reports" onClick={(e) => { e.preventDefault(); s.go("devices/reports"); }}><Icon name="file-text" />{t("rep.title")}</a>
        <a class="btn" href="/console/devices/dictionary" onClick={(e) => { e.preventDefault(); s.go("devices/dictionary"); }}><Icon name="book-open" />{t("dict.title")}</a>
        {s.session.value.acts.includes("export.read") && labelled.length > 0 && <a class="btn" data-do="labels" href={`/api/v1/codes/labels.pdf?kind=${labelled[0]!.kind}&codes=${labelled.map((d) => d.code).join(",")}`}><Icon name="qr-code" />{t("dev.labels")}</a>}
        {may && <a class="btn" href="/console/devices/provision" onClick={(e) => { e.preventDefault(); s.go("devices/provision"); }}><Icon name="upload" />{t("prov.title")}</a>}
        {may && <button class="btn main" onClick={() => (adding.value = true)}><Icon name="plus" />{t("dev.add")}</button>}
      </Head>
      <div class="split">
        <Tree data={figures.value} />
        <div class="found">
          <Figures data={figures.value} />
          <div class="asks">
            <label class="search"><Icon name="search" /><span class="sr">{t("search.label")}</span><input type="search" placeholder={t("dev.search")} value={words.value} maxLength={80} onInput={(e) => { words.value = e.currentTarget.value; void load(); }} /></label>
            <span class="muted small count" role="status">{rows.value && t("dev.count", { n: num(shown.length), more: next.value ? "+" : "" })}</span>
          </div>
          {rows.value && <Table columns={columns()} rows={shown} label={t("dev.title")} empty={t("dev.empty")} id={(d) => `${d.product}/${d.device}`} onOpen={(d) => s.go(`devices/${d.product}/${encodeURIComponent(d.device)}`)} />}
          {next.value && <button class="btn more" onClick={() => void load(true)}>{t("dev.more")}</button>}
        </div>
      </div>
      {adding.value && <Add product={product.value} onClose={() => { adding.value = false; void load(); }} />}
    </div>
  );
}

export default function Page() {
  const [, one, two] = s.path.value.split("/");
  return (
    <>
      {one === "map" ? <DeviceMap /> : one === "statistics" ? <Books /> : one === "provision" ? <Provision /> : one === "reports" ? <Reports /> : one === "dictionary" ? <Dictionary /> : one && two ? <Detail key={`${one}/${two}`} product={one} device={decodeURIComponent(two)} /> : <List />}
      <Strong />
    </>
  );
}
