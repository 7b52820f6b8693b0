/** Where events are dense: hexagons that are honest about their size, by kind. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num } from "../../common/format";
import { lang, t, tt } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { Category } from "../../common/types";
import { createMap, GeoJsonLayer, type TwinMap } from "../../mapkit";
import * as s from "../state";
import { spanQuery } from "./page";

type Cells = GeoJSON.FeatureCollection<GeoJSON.Polygon, { n: number; late: number }>;
const SIZES = [500, 1000, 2000];
// One hue in even steps of lightness: much stands out of the ground, little stays near it, on paper and at night.
const RAMPS: Record<string, [number, number, number][]> = { day: [[214, 229, 238], [150, 196, 222], [74, 150, 198], [16, 98, 158], [4, 52, 100]], night: [[28, 52, 66], [32, 88, 118], [44, 134, 178], [96, 184, 226], [200, 236, 255]] };

export function Heat({ days }: { days: number }) {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [cells, setCells] = useState<Cells | null>(null);
  const [category, setCategory] = useState("");
  const [size, setSize] = useState(1000);
  const [kinds, setKinds] = useState<Category[]>([]);
  const [tip, setTip] = useState<{ x: number; y: number; n: number; late: number } | null>(null);
  useEffect(() => {
    get<Category[]>("/api/v1/categories").then(setKinds, () => undefined);
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom - 0.8 });
    made.current = twin;
    twin.map.on("mousemove", (e) => { const hit = twin.pick(e.point.x, e.point.y, ["heat"])?.object as Cells["features"][number] | undefined; setTip(hit ? { x: e.point.x, y: e.point.y, ...hit.properties } : null); });
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  useEffect(() => { get<Cells>(`/api/v1/efficiency/heat.geojson?cell_m=${size}${category ? `&category=${category}` : ""}&${spanQuery(days)}`).then(setCells, (e: Error) => s.tell(e.message, true)); }, [days, category, size]);
  const most = Math.max(1, ...(cells?.features.map((f) => f.properties.n) ?? [1]));
  useEffect(() => {
    const ramp = RAMPS[theme.value]!;
    const ink = (n: number): [number, number, number, number] => { const share = most <= 1 ? 0 : (n - 1) / (most - 1), at = Math.min(0.999, share) * (ramp.length - 1), i = Math.floor(at), f = at - i; const [a, b] = [ramp[i]!, ramp[i + 1]!]; return [0, 1, 2].map((k) => Math.round(a[k]! + (b[k]! - a[k]!) * f)).concat(190) as [number, number, number, number]; };
    made.current?.setGroup("heat", cells ? [new GeoJsonLayer<{ n: number; late: number }>({ id: "heat", data: cells as never, pickable: true, stroked: true, filled: true, getFillColor: (f) => ink(f.properties.n), getLineColor: [255, 255, 255, 90], lineWidthUnits: "pixels", getLineWidth: 0.75, updateTriggers: { getFillColor: [most, theme.value] } })] : []);
  }, [cells, most, theme.value]);
  return (
    <div class="heat"><div ref={host} class="mapfull" role="application" aria-label={t("eff.tab.heat")} />
      <section class="mapcard"><label class="field"><span>{t("evl.category")}</span><select value={category} onChange={(e) => setCategory(e.currentTarget.value)}><option value="">{t("evl.state.all")}</option>{kinds.map((k) => <option value={k.key}>{tt(k.title)}</option>)}</select></label>
        <div class="switch" role="group" aria-label={t("eff.cell")}>{SIZES.map((m) => <button aria-pressed={size === m} onClick={() => setSize(m)}>{m < 1000 ? `${m} m` : `${m / 1000} km`}</button>)}</div>
        <div class="legend"><span class="ramp" style={{ background: `linear-gradient(90deg, ${RAMPS[theme.value]!.map((c) => `rgb(${c.join(",")})`).join(",")})` }} /><span class="ends2 small muted"><span>1</span><span>{t("eff.percell")}</span><span>{num(most)}</span></span></div></section>
      {tip && <div class="maptip" style={{ left: `${tip.x + 14}px`, top: `${tip.y + 14}px` }}><b>{t("evl.count", { n: num(tip.n) })}</b>{tip.late > 0 && <span class="muted small">{t("eff.latehere", { n: num(tip.late) })}</span>}</div>}
    </div>
  );
}
