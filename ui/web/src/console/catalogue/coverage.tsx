/** Coverage by district: how much there is, how dense, how fresh, how good, on a map and in a table. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num } from "../../common/format";
import { lang, t, tt, type Key } from "../../common/i18n";
import { rgba, type Theme } from "../../mapkit";
import { amounts, Choropleth, quantiles, type Area, type Rgba, type Scale } from "../parts/choropleth";
import { Table } from "../parts/table";
import * as s from "../state";
import { ago, Score } from "./parts";
import type { Covered, Detail } from "./types";

const MEASURES = ["things", "per_km2", "score", "age"] as const;
type Measure = (typeof MEASURES)[number];

function value(row: Covered, by: Measure): number | null {
  if (by === "age") return row.freshest ? Math.floor((Date.now() - new Date(row.freshest).getTime()) / 86_400_000) : null;
  if (by === "score") return row.score;
  return row.things === 0 ? null : row[by];
}

/** Five classes: quantiles for amounts, fixed bounds where a number means the same everywhere. */
function bounds(rows: Covered[], by: Measure): number[] {
  if (by === "score") return [60, 80, 90, 95];
  if (by === "age") return [1, 7, 30, 365];
  return quantiles(rows.map((r) => value(r, by)));
}

const STATUS: Record<"score" | "age", string[]> = { score: ["critical", "major", "minor", "greening", "good"], age: ["good", "greening", "minor", "major", "critical"] };

function shades(by: Measure, look: Theme): Rgba[] {
  return by === "score" || by === "age" ? STATUS[by].map((token) => rgba(look, token, 200)) : amounts(look);
}

function written(v: number | null, by: Measure): string {
  if (v === null) return t("cat.nodata");
  if (by === "age") return v < 1 ? t("cat.today") : t("cat.days", { n: v });
  return by === "score" ? v.toFixed(1) : num(v, v < 10 ? 2 : 0);
}

export function Coverage({ of }: { of: Detail }) {
  const [shapes, setShapes] = useState<Area<Covered>[] | null>(null);
  const [by, setBy] = useState<Measure>("things");
  useEffect(() => {
    get<GeoJSON.FeatureCollection>(`/api/v1/catalogue/${of.kind}/coverage?f=geojson`).then((found) => setShapes(found.features as unknown as Area<Covered>[]), (why: Error) => s.tell(why.message, true));
  }, [of.kind]);
  const rows = (shapes ?? []).map((f) => f.properties);
  const scale = useMemo<Scale<Covered>>(() => ({
    value: (r) => value(r, by), edges: bounds(rows, by), shades: (look) => shades(by, look), written: (v) => written(v, by),
    bound: (v) => (by === "age" ? num(v) : by === "score" ? String(v) : num(v, v < 10 ? 2 : 0)), unit: t(`cat.measure.${by}.unit` as Key),
  }), [shapes, by, lang.value]);
  const sorted = [...rows].sort((a, b) => (value(b, by) ?? -1) - (value(a, by) ?? -1));
  return (
    <div class="coverage">
      <div class="measures" role="radiogroup" aria-label={t("cat.measure")}>
        {MEASURES.map((m) => <label class={m === by ? "on" : ""}><input type="radio" name="measure" checked={m === by} onChange={() => setBy(m)} />{t(`cat.measure.${m}` as Key)}</label>)}
      </div>
      <div class="both">
        <Choropleth shapes={shapes} scale={scale} label={t("cat.map.label", { kind: tt(of.title), what: t(`cat.measure.${by}` as Key) })} />
        <Table label={t("cat.tab.coverage")} rows={sorted} empty={t("cat.loading")} id={(r) => r.district} columns={[
          { key: "name", title: t("cat.district"), cell: (r) => r.name },
          { key: "things", title: t("cat.things"), number: true, cell: (r) => num(r.things) },
          { key: "per", title: t("cat.measure.per_km2"), number: true, cell: (r) => r.per_km2 ? (r.per_km2 < 10 ? r.per_km2.toFixed(2) : num(r.per_km2, 0)) : <span class="muted">—</span> },
          { key: "score", title: t("cat.score"), cell: (r) => r.things ? <Score value={r.score} /> : <span class="muted">—</span> },
          { key: "fresh", title: t("cat.fresh"), cell: (r) => <span class="nowrap">{r.things ? ago(r.freshest) : "—"}</span> },
        ]} />
      </div>
    </div>
  );
}
