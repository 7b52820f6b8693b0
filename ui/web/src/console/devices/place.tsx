/** A map that shows one place, or takes one by a click. */
import { useEffect, useRef } from "preact/hooks";
import { lang, t } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import { config } from "../state";

export function PlaceMap({ at, onPick, label }: { at: [number, number] | null; onPick?: (at: [number, number]) => void; label: string }) {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const pick = useRef(onPick);
  pick.current = onPick;
  useEffect(() => {
    const c = config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: at ?? c.center, zoom: at ? 16 : c.zoom });
    made.current = twin;
    twin.map.on("click", (e) => pick.current?.([Number(e.lngLat.lng.toFixed(6)), Number(e.lngLat.lat.toFixed(6))]));
    if (onPick) twin.map.getCanvas().style.cursor = "crosshair";
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => made.current?.setTheme(theme.value, lang.value), [theme.value, lang.value]);
  useEffect(() => {
    const twin = made.current;
    if (!twin) return;
    twin.setGroup("place", at ? [
      new ScatterplotLayer({ id: "place-ring", data: [at], getPosition: (d: [number, number]) => d, radiusUnits: "pixels", getRadius: 12, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgba(theme.value, "selected", 255) }),
      new ScatterplotLayer({ id: "place", data: [at], getPosition: (d: [number, number]) => d, radiusUnits: "pixels", getRadius: 5, getFillColor: rgba(theme.value, "selected", 255) }),
    ] : []);
    if (at && !twin.map.getBounds().contains(at)) twin.map.easeTo({ center: at, zoom: Math.max(twin.map.getZoom(), 14) });
  }, [at?.[0], at?.[1], theme.value]);
  return <div ref={host} class="placemap" role="application" aria-label={label} title={onPick ? t("dev.add.pick") : undefined} />;
}
