/** One map engine for every screen: MapLibre for what stands still, deck.gl for what lives. */
import maplibregl from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import { MapLibreOverlay } from "@deck.gl/maplibre";
import type { Layer, PickingInfo } from "@deck.gl/core";
import { symbol } from "./icons";
import { calm, raw, type Theme } from "./tokens";

export interface MapOptions {
  container: HTMLElement;
  theme: Theme;
  lang: string;
  center: [number, number];
  zoom: number;
  bounds?: [number, number, number, number];
  hash?: boolean;
  /** The ground comes first: live layers are drawn from `goLive` on, so that their set-up does not delay it. */
  groundFirst?: boolean;
  onPick?(info: PickingInfo | null, point: { x: number; y: number }): void;
}

export interface TwinMap {
  map: maplibregl.Map;
  overlay: MapLibreOverlay;
  goLive(): void;
  /** Add the layers that a lean start left out. */
  complete(): Promise<void>;
  /** Replace one named group of live layers; groups are drawn in the order in which they were first named. */
  setGroup(name: string, layers: Layer[]): void;
  setTheme(theme: Theme, lang: string): void;
  /** Show every vector source as it was at a moment; null is now. */
  setMoment(at: string | null): void;
  pick(x: number, y: number, ids?: string[]): PickingInfo | null;
}

const styleUrl = (theme: Theme, lang: string, lean = false) => `/styles/${theme}.json?lang=${lang}${lean ? "&shown=1" : ""}`;

// Workers start while style and data are still on their way.
maplibregl.prewarm();

export function createMap(options: MapOptions): TwinMap {
  let theme = options.theme;
  let moment: string | null = null;
  const ratio = Math.min(4, Math.max(2, Math.ceil(devicePixelRatio)));
  const map = new maplibregl.Map({
    container: options.container,
    style: styleUrl(theme, options.lang, options.groundFirst),
    // Styles are made by our own server and tested there: checking them again costs the first picture.
    validateStyle: false,
    center: options.center,
    zoom: options.zoom,
    minZoom: 7.5,
    maxZoom: 20,
    maxPitch: 68,
    hash: options.hash ? "m" : false,
    attributionControl: false,
    localIdeographFontFamily: raw.map_font,
    fadeDuration: calm() ? 0 : 150,
    dragRotate: true,
    cancelPendingTileRequestsWhileZooming: true,
  });
  map.keyboard.enable();
  map.touchZoomRotate.enableRotation();
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 110 }), "bottom-left");
  const paint = (id: string) => {
    if (map.hasImage(id)) return;
    const image = symbol(id, theme, ratio);
    if (image) map.addImage(id, image, { pixelRatio: ratio });
  };
  map.on("styleimagemissing", (e) => paint(e.id));

  const groups = new Map<string, Layer[]>();
  const overlay = new MapLibreOverlay({ interleaved: false, layers: [], pickingRadius: 6 });
  let whole = !options.groundFirst;
  const complete = async () => {
    if (whole) return;
    const style = (await (await fetch(styleUrl(theme, options.lang))).json()) as maplibregl.StyleSpecification;
    if (whole) return;
    whole = true;
    for (const [id, source] of Object.entries(style.sources)) if (!map.getSource(id)) map.style.addSource(id, source, { validate: false });
    let above: string | undefined;
    for (const layer of [...style.layers].reverse()) {
      if (!map.getLayer(layer.id)) map.style.addLayer(layer, above, { validate: false });
      above = layer.id;
    }
    if (moment) retile();
  };
  let live = false;
  const goLive = () => {
    if (live) return;
    live = true;
    map.addControl(overlay as unknown as maplibregl.IControl);
  };
  if (!options.groundFirst) goLive();

  const retile = () => {
    for (const [id, source] of Object.entries(map.getStyle()?.sources ?? {})) {
      if (source.type !== "vector" || !source.tiles) continue;
      const tiles = source.tiles.map((t) => t.replace(/[?&]datetime=[^&]*/, "") + (moment ? `?datetime=${encodeURIComponent(moment)}` : ""));
      if (tiles[0] !== source.tiles[0]) (map.getSource(id) as maplibregl.VectorTileSource).setTiles(tiles);
    }
  };
  map.on("style.load", () => moment && retile());

  return {
    map, overlay, goLive, complete,
    setGroup(name, layers) {
      groups.set(name, layers);
      overlay.setProps({ layers: [...groups.values()].flat() });
    },
    setTheme(next, lang) {
      theme = next;
      whole = true;
      map.setStyle(styleUrl(next, lang), { diff: false, validate: false });
    },
    setMoment(at) {
      if (at === moment) return;
      moment = at;
      if (map.isStyleLoaded() || map.getStyle()) retile();
    },
    pick(x, y, ids) {
      try {
        return overlay.pickObject({ x, y, radius: 6, layerIds: ids }) as PickingInfo | null;
      } catch {
        return null; // deck has not drawn its first frame yet: nothing can be picked
      }
    },
  };
}
