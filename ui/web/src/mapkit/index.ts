/** mapkit: the map that every screen uses; served under a stable name for the workbench and notebooks. */
export { createMap, type MapOptions, type TwinMap } from "./map";
export { pydeckLayers, type DeckJson } from "./pydeck";
export { Live, type Entry, type LiveHooks, type Standing, type Tick, type WallState } from "./live";
export { azimuth, circle, clusters, hexagons, metres, squareMetres, type Cluster, type Hexagon } from "./gather";
export { decodeFrame, CREW, STALE, type Frame } from "./frame";
export { FleetLayer } from "./fleet";
export { GLIDE_MS, Movers } from "./movers";
export { iconPaths, liveAtlas, outline, stroke, symbol, PHASES, type Atlas, type Phase } from "./icons";
export { Draw, ringOf, type DrawMode } from "./draw";
export { watermark } from "./watermark";
export { calm, colour, raw as tokens, rgba, severity, type Theme } from "./tokens";
export { ColumnLayer, GeoJsonLayer, IconLayer, PathLayer, PolygonLayer, ScatterplotLayer, TextLayer } from "@deck.gl/layers";
export * from "./devices";
