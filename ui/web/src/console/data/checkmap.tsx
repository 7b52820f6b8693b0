/** Where the rows lie that were left out. */
import { useEffect, useRef } from "preact/hooks";
import { t } from "../../common/i18n";
import { lang } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, GeoJsonLayer, rgba, type TwinMap } from "../../mapkit";
import { config } from "../state";
import type { Row } from "./api";
import * as m from "./model";

type Placed = Row & { geometry: GeoJSON.Geometry };
type Box = [number, number, number, number];

function extent(rows: Placed[]): Box | null {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (at: unknown): void => {
    if (Array.isArray(at) && typeof at[0] === "number") {
      const [x, y] = at as number[];
      if (Math.abs(x!) > 180 || Math.abs(y!) > 85) return;
      box[0] = Math.min(box[0], x!); box[1] = Math.min(box[1], y!); box[2] = Math.max(box[2], x!); box[3] = Math.max(box[3], y!);
    } else if (Array.isArray(at)) at.forEach(walk);
  };
  rows.forEach((r) => walk((r.geometry as { coordinates?: unknown }).coordinates));
  return Number.isFinite(box[0]) ? box : null;
}

export function CheckMap({ rows }: { rows: Row[] }) {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const placed = rows.filter((r): r is Placed => r.geometry !== null);
  useEffect(() => {
    const c = config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom });
    made.current = twin;
    // What a click finds is opened in the list.
    twin.map.on("click", (e) => {
      const hit = twin.pick(e.point.x, e.point.y)?.object as { properties?: { row: number } } | undefined;
      if (hit?.properties) m.chosenRow.value = hit.properties.row;
    });
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  useEffect(() => {
    const box = extent(placed);
    if (box) made.current?.map.fitBounds([[box[0], box[1]], [box[2], box[3]]], { padding: 48, maxZoom: 15, duration: 0 });
  }, [rows]);
  useEffect(() => {
    const chosen = m.chosenRow.value;
    const data = { type: "FeatureCollection" as const, features: placed.map((r) => ({ type: "Feature" as const, geometry: r.geometry, properties: { row: r.row } })) };
    const ink = (row: number, alpha: number) => rgba(theme.value, row === chosen ? "selected" : "critical", alpha);
    made.current?.setGroup("rows", [
      new GeoJsonLayer<{ row: number }>({
        id: "rows", data, pickable: true, pointRadiusUnits: "pixels", getPointRadius: (f) => (f.properties.row === chosen ? 9 : 6), lineWidthUnits: "pixels", getLineWidth: 2,
        getFillColor: (f) => ink(f.properties.row, f.geometry.type.endsWith("Polygon") ? 60 : 230), getLineColor: (f) => (f.geometry.type === "Point" ? rgba(theme.value, "halo") : ink(f.properties.row, 255)),
        updateTriggers: { getFillColor: [chosen, theme.value], getLineColor: [chosen, theme.value], getPointRadius: chosen },
      }),
    ]);
    const at = placed.find((r) => r.row === chosen);
    const box = at && extent([at]);
    if (box && made.current && !made.current.map.getBounds().contains([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])) made.current.map.easeTo({ center: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] });
  }, [rows, m.chosenRow.value, theme.value]);
  return (
    <figure class="checkmap">
      <div ref={host} role="application" aria-label={t("load.map")} />
      <figcaption class="small"><span><i class="dot" aria-hidden="true" />{t("load.map.legend", { n: placed.length })}</span>{rows.length > placed.length && <span class="muted">{t("load.map.none", { n: rows.length - placed.length })}</span>}</figcaption>
    </figure>
  );
}
