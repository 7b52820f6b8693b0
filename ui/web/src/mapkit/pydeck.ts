/** Layers written in pydeck (`Deck.to_json()`), rendered here; live data and atlases are put in by layer id. */
import { JSONConfiguration, JSONConverter } from "@deck.gl/json";
import { ArcLayer, GeoJsonLayer, IconLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer, TextLayer } from "@deck.gl/layers";
import type { Layer } from "@deck.gl/core";
import { FleetLayer } from "./fleet";

const converter = new JSONConverter({
  configuration: new JSONConfiguration({
    classes: { ArcLayer, FleetLayer, GeoJsonLayer, IconLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer, TextLayer },
  }),
});

type Props = Record<string, unknown>;
export interface DeckJson { layers: Props[] }

/** Convert once; `pydeckLayers` then only swaps data. */
export function pydeckLayers(json: DeckJson | string, inject: Record<string, Props> = {}): Layer[] {
  const deck = (typeof json === "string" ? JSON.parse(json) : json) as DeckJson;
  const made = converter.convert({ layers: deck.layers }) as { layers: Layer[] };
  return made.layers.map((layer) => (inject[layer.id] ? (layer.clone(inject[layer.id]!) as Layer) : layer));
}
