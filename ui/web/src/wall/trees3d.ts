/** Street trees in 3D: trunk and crown from the tiles that are loaded, as tall and as wide as they are recorded. */
import { effect } from "@preact/signals";
import { ColumnLayer, rgba, type TwinMap } from "../mapkit";
import { theme } from "../common/theme";
import type { LonLat } from "../common/types";
import * as s from "./store";

interface Tree { at: LonLat; height: number; crown: number; health: string }
const FROM_ZOOM = 14.8;
const MOST = 4000;

/** What a tree is taken for whose record says nothing. */
const USUAL = { height: 8, crown: 4 };

export function startTrees(twin: TwinMap): void {
  const draw = () => {
    const map = twin.map;
    const on = s.threeD.value && map.getZoom() >= FROM_ZOOM && !s.hidden.value.has("street_tree");
    twin.setGroup("trees", on ? layers(read(twin)) : []);
  };
  twin.map.on("idle", draw);
  effect(() => {
    void [s.threeD.value, s.hidden.value, theme.value];
    draw();
  });
}

function read(twin: TwinMap): Tree[] {
  const seen = new Map<number | string, Tree>();
  if (!twin.map.getSource("street_tree")) return [];
  const bounds = twin.map.getBounds();
  for (const f of twin.map.querySourceFeatures("street_tree", { sourceLayer: "street_tree" })) {
    if (f.geometry.type !== "Point" || f.properties.n !== undefined || f.id === undefined || seen.has(f.id)) continue;
    const at = f.geometry.coordinates as LonLat;
    if (!bounds.contains(at)) continue;
    seen.set(f.id, { at, height: Number(f.properties.height_m) || USUAL.height, crown: Number(f.properties.crown_m) || USUAL.crown, health: String(f.properties.health ?? "") });
    if (seen.size >= MOST) break;
  }
  return [...seen.values()];
}

/** A trunk and two storeys of crown: enough to read a street as a line of trees, and one ill tree among them. */
function layers(trees: Tree[]): ColumnLayer<Tree>[] {
  const ink = (t: Tree, lighter: number): [number, number, number, number] => {
    const token = t.health === "dead" ? "major" : t.health === "poor" ? "minor" : "tree";
    const [r, g, b] = rgba(theme.value, token);
    return [r + lighter, g + lighter, b + lighter, 255].map((n) => Math.min(255, n)) as [number, number, number, number];
  };
  const part = (id: string, from: number, to: number, wide: number, light: number) => new ColumnLayer<Tree>({
    id, data: trees, diskResolution: 7, radius: 1, extruded: true, getPosition: (t) => [t.at[0], t.at[1], t.height * from], getElevation: (t) => t.height * (to - from),
    // One disk of one metre for all: each tree scales it by its own crown.
    radiusUnits: "meters", getFillColor: (t) => ink(t, light), updateTriggers: { getFillColor: theme.value }, coverage: wide, material: { ambient: 0.7, diffuse: 0.5, shininess: 1 },
  });
  const sizes = new Map<number, Tree[]>();
  for (const t of trees) {
    const size = Math.max(2, Math.round(t.crown / 2) * 2);
    const list = sizes.get(size);
    if (list) list.push(t);
    else sizes.set(size, [t]);
  }
  const trunk = part("trees-trunk", 0, 0.35, 0.35, -8);
  const crowns = [...sizes].flatMap(([size, list]) => [
    part(`trees-low-${size}`, 0.3, 0.72, 1, 4).clone({ data: list, radius: size / 2 }),
    part(`trees-top-${size}`, 0.72, 1, 1, 16).clone({ data: list, radius: size / 3.2 }),
  ]);
  return [trunk, ...crowns] as ColumnLayer<Tree>[];
}
