/** Reports over devices: by product, department, district, street or device; as page, workbook, CSV, paper; and exports. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Crumb } from "./stats";
import type { Product } from "./types";

interface Measured { name: string; title: Titled; unit: Titled | null; n: number; low: number; mean: number; high: number; devices: number }
interface Line { key: string; title: Titled; devices: number; reporting: number; availability_pct: number | null; gaps: number; alarms: number; properties: Measured[] }
interface Report { by: string; product: string | null; from: string; to: string; groups: Line[]; total: Line; at: string }
const BY = ["product", "department", "district", "street", "device"] as const;
const SPANS: [number, Key][] = [[1, "rep.day"], [7, "rep.week"], [30, "rep.month"], [92, "rep.quarter"]];
const GRAINS = ["raw", "minute", "hour"] as const;

/** How much of its time a group was heard: a bar beside the number. */
function Share({ of }: { of: Line }) {
  if (of.availability_pct === null) return <span class="muted">—</span>;
  const pct = of.availability_pct;
  return <span class={`sharebar${pct < 90 ? " low" : ""}`}><i style={{ width: `${pct}%` }} /><b>{num(pct, 1)}<span class="unit">%</span></b></span>;
}

/** Least, mean and greatest on the range of all groups. */
function Range({ of, low, high }: { of: Measured; low: number; high: number }) {
  const x = (v: number) => `${(100 * (v - low)) / (high - low || 1)}%`;
  return <span class="rangebar" role="img" aria-label={`${num(of.low, 2)} – ${num(of.mean, 2)} – ${num(of.high, 2)}`}><i style={{ left: x(of.low), right: `calc(100% - ${x(of.high)})` }} /><em style={{ left: x(of.mean) }} /></span>;
}

function Export({ product, onClose }: { product: string; onClose: () => void }) {
  const [progress, setProgress] = useState<number | null>(null);
  const [file, setFile] = useState<{ path: string; rows: number } | null>(null);
  const [why, setWhy] = useState("");
  const go = async (e: SubmitEvent) => {
    e.preventDefault();
    const said = new FormData(e.currentTarget as HTMLFormElement);
    try {
      setWhy(""); setFile(null); setProgress(0);
      const asked = await post<{ follow: string; file: string }>("/api/v1/devices/exports", { product, grain: said.get("grain"), from: new Date(Date.now() - Number(said.get("days")) * 864e5).toISOString(), to: new Date().toISOString() });
      for (let i = 0; i < 1200; i++) {
        const job = await get<{ state: string; progress: number; error: string | null; result: { rows: number } | null }>(asked.follow);
        setProgress(job.progress ?? 0);
        if (job.state === "done") { setFile({ path: asked.file, rows: job.result!.rows }); return; }
        if (job.state === "failed") throw new Error(job.error ?? job.state);
        await new Promise((done) => setTimeout(done, 500));
      }
    } catch (x) { setWhy((x as Error).message); setProgress(null); }
  };
  return (
    <Dialog title={t("rep.export")} onClose={onClose}>
      <form class="form" onSubmit={go}>
        <p class="muted">{t("rep.export.about")}</p>
        <label class="field"><span>{t("rep.grain")}</span><select name="grain">{GRAINS.map((g) => <option value={g} selected={g === "hour"}>{t(`rep.grain.${g}` as Key)}</option>)}</select></label>
        <label class="field"><span>{t("rep.span")}</span><select name="days">{SPANS.map(([d, k]) => <option value={d} selected={d === 7}>{t(k)}</option>)}</select></label>
        {progress !== null && <progress max={1} value={file ? 1 : progress} aria-label={t("rep.export")} />}
        {file && <p role="status"><a class="btn main" href={file.path}><Icon name="download" />{t("rep.take", { n: num(file.rows) })}</a></p>}
        {why && <p class="wrong" role="alert">{why}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main" disabled={progress !== null && !file}>{t("rep.make")}</button></div>
      </form>
    </Dialog>
  );
}

export function Reports() {
  const [by, setBy] = useState<(typeof BY)[number]>("product");
  const [product, setProduct] = useState("");
  const [prop, setProp] = useState("");
  const [days, setDays] = useState(7);
  const [products, setProducts] = useState<Product[]>([]);
  const [data, setData] = useState<Report | null>(null);
  const [exporting, setExporting] = useState(false);
  const query = (): string => { const q = new URLSearchParams({ by, from: new Date(Math.floor(Date.now() / 3600e3) * 3600e3 - days * 864e5).toISOString() }); if (product) q.set("product", product); return String(q); };
  useEffect(() => { get<{ products: Product[] }>("/api/v1/products").then((f) => setProducts(f.products.filter((p) => p.devices)), (e: Error) => s.tell(e.message, true)); }, []);
  useEffect(() => { let mine = true; get<Report>(`/api/v1/devices/report?${query()}`).then((f) => { if (mine) setData(f); }, (e: Error) => s.tell(e.message, true)); return () => { mine = false; }; }, [by, product, days]);
  const model = products.find((p) => p.key === product);
  const shown = prop || model?.main || data?.total.properties[0]?.name || "";
  const all = data?.groups ?? [];
  const measured = all.map((g) => g.properties.find((p) => p.name === shown)).filter((p): p is Measured => !!p);
  const [low, high] = [Math.min(...measured.map((p) => p.low)), Math.max(...measured.map((p) => p.high))];
  const of = (g: Line) => g.properties.find((p) => p.name === shown);
  const open = (g: Line) => { if (by === "product") { setProduct(g.key); setBy("district"); } else if (by === "device") s.go(`devices/${g.key}`); };
  const columns: Column<Line>[] = [
    { key: "title", title: t(`rep.by.${by}` as Key), cell: (g) => <b>{tt(g.title)}</b> },
    { key: "devices", title: t("dev.title"), number: true, cell: (g) => <span>{num(g.reporting)}<span class="muted"> / {num(g.devices)}</span></span> },
    { key: "share", title: t("rep.availability"), width: "200px", cell: (g) => <Share of={g} /> },
    { key: "gaps", title: t("rep.gaps"), number: true, cell: (g) => (g.gaps ? num(g.gaps) : <span class="muted">0</span>) },
    { key: "alarms", title: t("alm.tab.list"), number: true, cell: (g) => (g.alarms ? num(g.alarms) : <span class="muted">0</span>) },
    ...(product ? [
      { key: "n", title: t("rep.values"), number: true, cell: (g: Line) => num(of(g)?.n ?? 0) },
      { key: "range", title: `${tt(model?.properties.find((p) => p.name === shown)?.title)} ${tt(model?.properties.find((p) => p.name === shown)?.unit)}`, width: "240px", cell: (g: Line) => { const p = of(g); return p ? <Range of={p} low={low} high={high} /> : <span class="muted">—</span>; } },
      { key: "mean", title: t("rep.three"), number: true, cell: (g: Line) => { const p = of(g); return p ? <span class="nowrap">{num(p.low, 1)} <b>{num(p.mean, 1)}</b> {num(p.high, 1)}</span> : "—"; } },
    ] : []),
  ];
  const file = (ending: string) => `/api/v1/devices/report.${ending}?${query()}&lang=${lang.value === "en" ? "en" : "zh"}`;
  const may = s.session.value.acts.includes("export.read");
  return (
    <div class="page dev">
      <Crumb here={t("rep.title")} />
      <Head title={t("rep.title")} about={data ? t("rep.about", { from: stamp(data.from), to: stamp(data.to) }) : t("dev.loading")}>
        {may && <>{["xlsx", "csv", "pdf"].map((e) => <a class="btn" href={file(e)} data-file={e}><Icon name="download" />{e.toUpperCase()}</a>)}
          <button class="btn main" disabled={!product} title={product ? "" : t("rep.choose")} onClick={() => setExporting(true)}><Icon name="table" />{t("rep.export")}</button></>}
      </Head>
      <div class="asks repasks">
        <div class="spans" role="group" aria-label={t("rep.group")}>{BY.map((k) => <button class="btn" aria-pressed={by === k} data-by={k} onClick={() => setBy(k)}>{t(`rep.by.${k}` as Key)}</button>)}</div>
        <label><span class="sr">{t("dev.product")}</span><select value={product} id="rep-product" onChange={(e) => { setProduct(e.currentTarget.value); setProp(""); }}><option value="">{t("dev.all")}</option>{products.map((p) => <option value={p.key}>{tt(p.title)}</option>)}</select></label>
        {product && <label><span class="sr">{t("prod.property")}</span><select value={shown} onChange={(e) => setProp(e.currentTarget.value)}>{model?.properties.filter((p) => p.type !== "text").map((p) => <option value={p.name}>{tt(p.title)}</option>)}</select></label>}
        <span class="grow" /><div class="spans" role="group" aria-label={t("rep.span")}>{SPANS.map(([d, k]) => <button class="btn" aria-pressed={days === d} onClick={() => setDays(d)}>{t(k)}</button>)}</div>
      </div>
      {data && <dl class="facts wide repsum"><div><dt>{t("dev.title")}</dt><dd>{num(data.total.reporting)}<span class="muted"> / {num(data.total.devices)}</span></dd></div><div><dt>{t("rep.availability")}</dt><dd>{data.total.availability_pct === null ? "—" : <>{num(data.total.availability_pct, 1)}<span class="unit">%</span></>}</dd></div>
        <div><dt>{t("rep.gaps")}</dt><dd>{num(data.total.gaps)}</dd></div><div><dt>{t("alm.tab.list")}</dt><dd>{num(data.total.alarms)}</dd></div></dl>}
      {data && <Table columns={columns} rows={all} label={t("rep.title")} empty={t("dev.empty")} id={(g) => g.key} onOpen={by === "product" || by === "device" ? open : undefined} />}
      {exporting && <Export product={product} onClose={() => setExporting(false)} />}
    </div>
  );
}
