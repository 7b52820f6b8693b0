/** One indicator: value and target, where it comes from, each district on the map, the things behind it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import { amounts, Choropleth, quantiles, type Area, type Scale } from "../parts/choropleth";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Delta, Figure, said, Sign, Spark, Target } from "./parts";
import { Recount } from "./recount";
import type { One, Place, Row, Things } from "./types";

const PAGE = 50;

/** How it is counted, in words: 公厕 · 占比：open_state = 'open'. */
function Made({ of }: { of: One }) {
  return (
    <section class="made">
      <h2>{t("ind.made")}</h2>
      {of.formula && <p><code>{of.formula}</code></p>}
      {of.parts.length > 0 && <ul class="plain parts">{of.parts.map((p) => <li><a href={`/console/indicators/${p.key}`} onClick={(e) => { e.preventDefault(); s.go(`indicators/${p.key}`); }}>{tt(p.title)}</a> <Figure of={p} /></li>)}</ul>}
      <ul class="plain">
        {of.lineage.map((o) => (
          <li class="origin">
            <Icon name="layers" size={16} />
            <span class="two">
              <span><b>{tt(o.title) || t(`ind.of.${o.name}` as Key) || o.name}</b> <span class="muted">{typeof o.measure === "string" ? t(`ind.measure.${o.measure}` as Key) : Object.entries(o.measure as Record<string, unknown>).map(([k, v]) => `${t(`ind.measure.${k}` as Key)} ${typeof v === "string" ? v : JSON.stringify(v)}`).join("")}</span></span>
              {o.where && <code class="muted">{o.where}</code>}
              {o.source_system && <span class="muted small">{t("ind.from", { system: o.source_system })}</span>}
            </span>
          </li>
        ))}
      </ul>
      {of.window && <p class="muted">{t("ind.window", { field: of.window.field, first: of.window.first, last: of.window.last })}</p>}
    </section>
  );
}

function Districts({ of }: { of: One }) {
  const [shapes, setShapes] = useState<Area<Place>[] | null>(null);
  useEffect(() => { get<GeoJSON.FeatureCollection>(`/api/v1/indicators/${of.key}/map`).then((f) => setShapes(f.features as unknown as Area<Place>[]), (e: Error) => s.tell(e.message, true)); }, [of.key, of.at]);
  const rows = (shapes ?? []).map((f) => f.properties);
  const scale = useMemo<Scale<Place>>(() => ({
    value: (p) => p.value, edges: quantiles(rows.map((r) => r.value)), shades: amounts, written: (v) => said(of, v), bound: (v) => num(v, of.decimals), unit: tt(of.unit) || t("ind.value"),
  }), [shapes, of, lang.value]);
  const sorted = [...rows].sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
  const columns: Column<Place>[] = [
    { key: "name", title: t("cat.district"), cell: (p) => p.name },
    { key: "value", title: t("ind.value"), number: true, cell: (p) => <span class="figure"><b>{said(of, p.value)}</b> <small class="muted">{tt(of.unit)}</small></span> },
    { key: "level", title: t("ind.level"), cell: (p) => <Sign level={p.level} /> },
  ];
  return (
    <div class="coverage"><div class="both">
      <Choropleth shapes={shapes} scale={scale} label={t("ind.map.label", { title: tt(of.title) })} />
      <Table columns={columns} rows={sorted} label={t("ind.by.district")} id={(p) => p.code} />
    </div></div>
  );
}

function Behind({ of }: { of: One }) {
  const [page, setPage] = useState<Things | null>(null);
  const [offset, setOffset] = useState(0);
  const [counted, setCounted] = useState(true);
  const share = typeof (of.definition as { measure?: unknown }).measure === "object" && "share" in ((of.definition as { measure: object }).measure);
  useEffect(() => { get<Things>(`${of.things}?limit=${PAGE}&offset=${offset}&counted=${counted}`).then(setPage, (e: Error) => s.tell(e.message, true)); }, [of.key, offset, counted]);
  const open = (r: Row) => { location.href = r.kind === "event" ? `/wall?event=${r.code}` : `/wall?thing=${r.code}`; };
  const columns: Column<Row>[] = [
    { key: "code", title: t("ind.code"), cell: (r) => <code>{r.code}</code> },
    { key: "name", title: t("ind.name"), cell: (r) => r.name || <span class="muted">—</span> },
    { key: "district", title: t("cat.district"), cell: (r) => of.by_district.find((p) => p.code === r.district)?.name ?? r.district ?? <span class="muted">—</span> },
    ...(page?.things.some((r) => r.value !== undefined) ? [{ key: "value", title: t("ind.counted.value"), number: true, cell: (r: Row) => (typeof r.value === "number" ? num(r.value, 2) : String(r.value ?? "—")) }] : []),
  ];
  return (
    <section class="behind">
      <div class="asks"><h2 class="grow">{t("ind.things", { n: num(page?.total ?? 0) })}</h2>
        {share && <div class="measures" role="radiogroup" aria-label={t("ind.things.which")}>{[true, false].map((c) => <label class={c === counted ? "on" : ""}><input type="radio" name="counted" checked={c === counted} onChange={() => { setCounted(c); setOffset(0); }} />{t(c ? "ind.things.met" : "ind.things.short")}</label>)}</div>}
      </div>
      <Table columns={columns} rows={page?.things ?? []} label={t("ind.things.label")} empty={page ? t("ind.things.none") : t("dev.loading")} id={(r) => r.code} onOpen={open} />
      {page && page.total > PAGE && <p class="pager"><button class="btn" disabled={!offset} onClick={() => setOffset(Math.max(0, offset - PAGE))}>{t("ind.before")}</button><span class="muted">{num(offset + 1)} – {num(Math.min(offset + PAGE, page.total))} / {num(page.total)}</span><button class="btn" disabled={page.next === null} onClick={() => setOffset(page.next!)}>{t("ind.after")}</button></p>}
    </section>
  );
}

export function Detail({ name }: { name: string }) {
  const [of, setOf] = useState<One | null>(null);
  const [why, setWhy] = useState("");
  const read = () => get<One>(`/api/v1/indicators/${name}`).then(setOf, (e: Error) => setWhy(e.message));
  useEffect(() => { void read(); }, [name]);
  return (
    <div class="page ind cat">
      <p class="crumb"><a href="/console/indicators" onClick={(e) => { e.preventDefault(); s.go("indicators"); }}>{t("ind.title")}</a><Icon name="chevron-right" size={14} />{of ? tt(of.title) : name}</p>
      {why && <p class="empty" role="alert">{why}</p>}
      {of && <>
        <header class="head detail"><div class="grow"><h1>{tt(of.title)} <code>{of.key}</code></h1><p class="muted">{of.document ?? (of.at ? t("ind.counted", { at: stamp(of.at) }) : "")}</p></div></header>
        <dl class="facts">
          <div><dt>{t("ind.value")}</dt><dd><Figure of={of} big /></dd></div>
          <div><dt>{t("ind.target")}</dt><dd><Target of={of} /></dd></div>
          <div><dt>{t("ind.level")}</dt><dd><Sign level={of.level} text /></dd></div>
          <div><dt>{tt(of.delta_base)}</dt><dd><Delta of={of} /></dd></div>
          <div class="wide"><dt>{t("ind.trend")}</dt><dd><Spark of={of} width={240} height={40} /></dd></div>
        </dl>
        {of.by_district.length > 0 && <Districts of={of} />}
        <Made of={of} />
        {of.things && <Behind of={of} />}
        <Recount of={of.key} after={() => void read()} />
      </>}
    </div>
  );
}
