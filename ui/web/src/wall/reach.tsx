/** How far one comes in minutes: bands of the road network round a place of a response, to it. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../common/api";
import { Icon } from "../common/icon";
import { t } from "../common/i18n";
import { theme } from "../common/theme";
import type { LonLat } from "../common/types";
import { GeoJsonLayer, rgba } from "../mapkit";
import { fitBounds, theMap } from "./mapview";
import * as s from "./store";
import "./command.css";
import { placed } from "../common/places";

interface Band { from_min: number; to_min: number }
type Bands = GeoJSON.FeatureCollection<GeoJSON.Geometry, Band>;
export interface Target { code: string; name: string; point: LonLat }

const MINUTES = [5, 10, 15, 20];

function draw(bands: Bands | null): void {
  const top = MINUTES[MINUTES.length - 1]!;
  theMap()?.setGroup("reach", bands ? [new GeoJsonLayer<Band>({
    id: "reach", data: bands as never, stroked: true, filled: true, lineWidthUnits: "pixels", getLineWidth: 1.25,
    getFillColor: (f) => rgba(theme.value, "good", Math.round(16 + 60 * (1 - f.properties.from_min / top))), getLineColor: rgba(theme.value, "good", 200),
  })] : []);
}

/** Let the camera make room for the bands. */
function show(of: Bands, at: LonLat): void {
  const box: [number, number, number, number] = [at[0], at[1], at[0], at[1]];
  const walk = (c: unknown): void => {
    const pair = c as number[];
    if (typeof pair[0] === "number") { box[0] = Math.min(box[0], pair[0]); box[1] = Math.min(box[1], pair[1]!); box[2] = Math.max(box[2], pair[0]); box[3] = Math.max(box[3], pair[1]!); } else for (const one of c as unknown[]) walk(one);
  };
  for (const f of of.features) walk((f.geometry as GeoJSON.Polygon).coordinates);
  fitBounds(box);
}

/** The staging places of a response; one opened shows from where it is reached in 5 to 20 minutes. */
export function Targets({ of }: { of: Target[] }) {
  const [open, setOpen] = useState<string | null>(null);
  const [bands, setBands] = useState<Bands | null>(null);
  useEffect(() => {
    const place = of.find((one) => one.code === open);
    setBands(null);
    if (!place) return;
    get<Bands>(`/api/v1/dispatch/isochrones?lon=${place.point[0].toFixed(6)}&lat=${place.point[1].toFixed(6)}&minutes=${MINUTES.join(",")}&direction=to`).then((b) => { setBands(b); show(b, place.point); }, (e: Error) => s.tell(e.message));
  }, [open]);
  useEffect(() => draw(bands), [bands, theme.value]);
  useEffect(() => () => draw(null), []);
  if (!of.length) return null;
  return (
    <div class="targets" role="group" aria-label={t("plan.targets")}>
      <span class="muted small">{t("plan.targets")}</span>
      {of.map((one) => <button key={one.code} data-target={one.code} aria-pressed={open === one.code} class={open === one.code ? "on" : ""} title={t("plan.reach", { m: MINUTES.join("/") })} onClick={() => setOpen(open === one.code ? null : one.code)}><Icon name="locate-fixed" size={12} />{placed(one.name)}</button>)}
    </div>
  );
}
