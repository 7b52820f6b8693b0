/** How far one comes in minutes: bands of the road network round a place of a response, to it. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../common/api";
import { Icon } from "../common/icon";
import { t } from "../common/i18n";
import { theme } from "../common/theme";
import type { LonLat } from "../common/types";
import { GeoJsonLayer, rgba } from "../mapkit";
import { flyTo, theMap } from "./mapview";
import * as s from "./store";
import "./command.css";

interface Band { from_min: number; to_min: number }
type Bands = GeoJSON.FeatureCollection<GeoJSON.Geometry, Band>;
export interface Target { code: string; name: string; point: LonLat }

const MINUTES = [10, 20, 30, 45];

function draw(bands: Bands | null): void {
  const top = MINUTES[MINUTES.length - 1]!;
  theMap()?.setGroup("reach", bands ? [new GeoJsonLayer<Band>({
    id: "reach", data: bands as never, stroked: true, filled: true, lineWidthUnits: "pixels", getLineWidth: 1.25,
    getFillColor: (f) => rgba(theme.value, "good", Math.round(16 + 60 * (1 - f.properties.from_min / top))), getLineColor: rgba(theme.value, "good", 200),
  })] : []);
}

/** The staging places of a response; one opened shows from where it is reached in 10 to 45 minutes. */
export function Targets({ of }: { of: Target[] }) {
  const [open, setOpen] = useState<string | null>(null);
  const [bands, setBands] = useState<Bands | null>(null);
  useEffect(() => {
    const place = of.find((one) => one.code === open);
    setBands(null);
    if (!place) return;
    flyTo(place.point, 11);
    get<Bands>(`/api/v1/dispatch/isochrones?lon=${place.point[0].toFixed(6)}&lat=${place.point[1].toFixed(6)}&minutes=${MINUTES.join(",")}&direction=to`).then(setBands, (e: Error) => s.tell(e.message));
  }, [open]);
  useEffect(() => draw(bands), [bands, theme.value]);
  useEffect(() => () => draw(null), []);
  if (!of.length) return null;
  return (
    <div class="targets" role="group" aria-label={t("plan.targets")}>
      <span class="muted small">{t("plan.targets")}</span>
      {of.map((one) => <button key={one.code} data-target={one.code} aria-pressed={open === one.code} class={open === one.code ? "on" : ""} title={t("plan.reach", { m: MINUTES.join("/") })} onClick={() => setOpen(open === one.code ? null : one.code)}><Icon name="locate-fixed" size={12} />{one.name}</button>)}
    </div>
  );
}
