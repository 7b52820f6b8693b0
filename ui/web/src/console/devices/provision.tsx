/** Many devices from a workbook: upload, see what would be made and what is wrong, make them, keep the file with their secrets. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get, Problem } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, rgba, ScatterplotLayer } from "../../mapkit";
import { Head } from "../parts/head";
import { strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Crumb } from "./stats";
import type { Product } from "./types";

interface Line { line: number; product: string; device: string; name: string | null; lon: number | null; lat: number | null; thing: string | null; faults: string[] }
interface Tried { rows: number; wrong: number; products: Record<string, number>; lines: Line[]; points: [number, number][] }

async function send(path: string, file: File): Promise<Response> {
  const body = new FormData();
  body.set("file", file);
  const answer = await fetch(`/api/v1/devices/${path}`, { method: "POST", body });
  if (answer.ok) return answer;
  const said = (await answer.json()) as { code: string; detail: string };
  throw new Problem(answer.status, said.code, said.detail);
}

function Places({ points }: { points: [number, number][] }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom - 1 });
    twin.setGroup("places", [new ScatterplotLayer<[number, number]>({ id: "places", data: points, getPosition: (p) => p, radiusUnits: "pixels", getRadius: 5, stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: rgba(theme.value, "halo"), getFillColor: rgba(theme.value, "selected", 235) })]);
    const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
    if (points.length) twin.map.fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], { padding: 40, maxZoom: 15, duration: 0 });
    return () => twin.map.remove();
  }, [points]);
  return <div ref={host} class="provmap" role="application" aria-label={t("prov.map")} />;
}

export function Provision() {
  const [file, setFile] = useState<File | null>(null);
  const [tried, setTried] = useState<Tried | null>(null);
  const [given, setGiven] = useState<string | null>(null);
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [products, setProducts] = useState<Product[]>([]);
  useEffect(() => { get<{ products: Product[] }>("/api/v1/products").then((f) => setProducts(f.products), () => undefined); }, []);
  const doing = async (what: () => Promise<void>) => { setBusy(true); setWhy(""); try { await what(); } catch (e) { setWhy((e as Error).message); } setBusy(false); };
  const take = (next: File | undefined) => { if (!next) return; setFile(next); setTried(null); setGiven(null); void doing(async () => setTried((await (await send("provision/check", next)).json()) as Tried)); };
  const make = () => doing(async () => {
    const answer = await strong(() => send("provision", file!));
    if (answer) setGiven(URL.createObjectURL(await answer.blob()));
  });
  const columns: Column<Line>[] = [
    { key: "line", title: t("prov.line"), number: true, width: "70px", cell: (l) => l.line },
    { key: "device", title: t("dev.device"), cell: (l) => <span class="two"><b>{l.name || l.device}</b><code class="muted small">{l.product}/{l.device}</code></span> },
    { key: "place", title: t("dev.place"), cell: (l) => l.thing ?? (l.lon === null ? <span class="muted">—</span> : <span class="nowrap">{l.lon}, {l.lat}</span>) },
    { key: "why", title: t("prov.state"), cell: (l) => (l.faults.length ? <span class="wrong">{l.faults.join("；")}</span> : <span class="yes"><Icon name="check" size={14} />{t("prov.fine")}</span>) },
  ];
  const step = given ? 3 : tried ? 2 : 1;
  return (
    <div class="page dev">
      <Crumb here={t("prov.title")} />
      <Head title={t("prov.title")} about={t("prov.about")}><a class="btn" href="/api/v1/devices/provision.xlsx"><Icon name="download" />{t("prov.template")}</a></Head>
      <ol class="provsteps" aria-label={t("prov.title")}>{([1, 2, 3] as const).map((n) => <li aria-current={step === n ? "step" : undefined} class={step > n ? "past" : ""}><i>{step > n ? "✓" : n}</i>{t(`prov.step.${n}`)}</li>)}</ol>
      <label class="provdrop" onDragOver={(e) => e.preventDefault()} onDrop={(e) => { e.preventDefault(); take(e.dataTransfer?.files[0]); }}><Icon name="upload" size={22} /><b>{file ? file.name : t("prov.drop")}</b><span class="muted small">{t("prov.drop.about")}</span><input id="prov-file" type="file" class="sr" accept=".xlsx" onChange={(e) => { take(e.currentTarget.files?.[0]); e.currentTarget.value = ""; }} /></label>
      {why && <p class="wrong" role="alert">{why}</p>}
      {given && <div class="provdone" role="status"><Icon name="circle-check" size={22} /><div class="grow"><b>{t("prov.done", { n: num(tried!.rows) })}</b><p class="muted">{t("prov.once")}</p></div><a class="btn main" href={given} download="device-secrets.xlsx" id="prov-secrets"><Icon name="download" />{t("prov.take")}</a></div>}
      {tried && !given && <>
        <div class="provsum"><p><b class="big">{num(tried.rows - tried.wrong)}</b>{t("prov.would", { products: Object.entries(tried.products).filter(([, n]) => n).map(([k, n]) => `${tt(products.find((p) => p.key === k)?.title) || k} ${num(n)}`).join("，") || "0" })}</p>
          {tried.wrong > 0 ? <p class="wrong">{t("prov.wrong", { n: num(tried.wrong) })}</p> : <button class="btn main" data-do="make" disabled={busy} onClick={() => void make()}><Icon name="check" />{t("prov.make", { n: num(tried.rows) })}</button>}</div>
        <div class="provsplit"><div class="grow"><Table columns={columns} rows={tried.lines} label={t("prov.title")} id={(l) => String(l.line)} /></div>{tried.points.length > 0 && <Places points={tried.points} />}</div>
      </>}
    </div>
  );
}
