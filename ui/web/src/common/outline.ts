/** The outline of what a machine has seen, under the mark of its event. */
import { GeoJsonLayer, rgba, type TwinMap } from "../mapkit";
import { theme } from "./theme";

export function drawOutline(twin: TwinMap, shape: GeoJSON.Geometry | null): void {
  const ink = rgba(theme.value, "selected");
  twin.setGroup("outline", shape ? [new GeoJsonLayer({
    id: "outline", data: { type: "Feature", properties: {}, geometry: shape } as never, stroked: true, filled: true, getFillColor: [...ink.slice(0, 3), 40] as never, getLineColor: ink, lineWidthUnits: "pixels", getLineWidth: 2.5,
  })] : []);
}
