/** The map of a page of features: the same features from the same address as JSON, on the city's map. */
import { createMap, GeoJsonLayer, rgba, type Theme } from "../mapkit";

interface Feature { id: string; geometry: { type: string; coordinates: unknown } | null; properties: Record<string, unknown> }

/** Return west, south, east, north of all coordinates. */
function extent(features: Feature[]): [number, number, number, number] | null {
  const box: [number, number, number, number] = [180, 90, -180, -90];
  const walk = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    if (typeof part[0] === "number") {
      const [x, y] = part as number[];
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
    } else part.forEach(walk);
  };
  features.forEach((f) => walk(f.geometry?.coordinates));
  return box[0] <= box[2] ? box : null;
}

async function draw(place: HTMLElement): Promise<void> {
  const said = await fetch(place.dataset.items!, { headers: { Accept: "application/geo+json" } });
  if (!said.ok) return place.remove();
  const body = await said.json();
  const features: Feature[] = body.features ?? [body];
  const box = extent(features);
  if (!box) return place.remove();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = (): Theme => (dark.matches ? "night" : "day");
  const kit = createMap({
    container: place, theme: theme(), lang: document.documentElement.lang || "zh-CN",
    center: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], zoom: 11,
  });
  const paint = () => kit.setGroup("features", [new GeoJsonLayer({
    id: "features", data: features as never, pickable: true, autoHighlight: true,
    pointRadiusUnits: "pixels", getPointRadius: 6, lineWidthUnits: "pixels", getLineWidth: 2,
    getFillColor: rgba(theme(), "selected", 90), getLineColor: rgba(theme(), "selected"),
    onClick: ({ object }: { object?: Feature }) => {
      if (!object || !body.features) return;
      const path = new URL(place.dataset.items!, location.href).pathname;
      location.assign(`${path}/${object.id}?f=html`);
    },
  })]);
  kit.map.fitBounds(box, { padding: 48, maxZoom: 16, animate: false });
  paint();
  dark.addEventListener("change", () => { kit.setTheme(theme(), document.documentElement.lang); paint(); });
}

const place = document.getElementById("map");
if (place?.dataset.items) void draw(place);
