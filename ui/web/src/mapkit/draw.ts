/** Drawing on the map: points by clicks, boxes and circles by a drag, also by keyboard (space sets a point at the centre). */
import type { Map as MapLibre, MapMouseEvent } from "maplibre-gl";
import { circle, metres, type LonLat } from "./gather";

export type DrawMode = "point" | "line" | "polygon" | "box" | "circle";
export interface DrawHooks {
  /** What stands so far; the last point follows the pointer. */
  change(points: LonLat[], mode: DrawMode): void;
  done(points: LonLat[], mode: DrawMode): void;
  cancel(): void;
}

const SAME_PX = 6;

/** The ring that points make: a box by two corners, a circle by centre and rim, else the points themselves. */
export function ringOf(points: LonLat[], mode: DrawMode): LonLat[] {
  if (mode === "box" && points.length > 1) {
    const [[a, b], [c, d]] = [points[0]!, points[1]!];
    return [[a, b], [c, b], [c, d], [a, d], [a, b]];
  }
  if (mode === "circle" && points.length > 1) return circle(points[0]!, Math.max(1, metres(points[0]!, points[1]!)));
  return mode === "polygon" && points.length > 2 ? [...points, points[0]!] : points;
}

export class Draw {
  private points: LonLat[] = [];
  private pulling = false;
  private over = false;

  constructor(private readonly map: MapLibre, private readonly mode: DrawMode, private readonly hooks: DrawHooks) {
    map.doubleClickZoom.disable();
    if (this.drags) map.dragPan.disable();
    map.getCanvas().style.cursor = "crosshair";
    map.on("mousedown", this.down);
    map.on("mousemove", this.move);
    map.on("mouseup", this.up);
    map.on("click", this.click);
    map.on("dblclick", this.twice);
    addEventListener("keydown", this.key, true);
  }

  private get drags(): boolean {
    return this.mode === "box" || this.mode === "circle";
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    const { map } = this;
    map.off("mousedown", this.down);
    map.off("mousemove", this.move);
    map.off("mouseup", this.up);
    map.off("click", this.click);
    map.off("dblclick", this.twice);
    removeEventListener("keydown", this.key, true);
    map.dragPan.enable();
    map.getCanvas().style.cursor = "";
    // The click that ends a drawing must not zoom as well.
    setTimeout(() => map.doubleClickZoom.enable(), 300);
  }

  private finish(): void {
    const least = { point: 1, line: 2, polygon: 3, box: 2, circle: 2 }[this.mode];
    if (this.points.length < least) return;
    const made = this.points;
    this.end();
    this.hooks.done(made, this.mode);
  }

  private add(at: LonLat): void {
    const last = this.points.at(-1);
    if (last) {
      const [a, b] = [this.map.project(last), this.map.project(at)];
      if (Math.hypot(a.x - b.x, a.y - b.y) < SAME_PX) return;
    }
    this.points = [...this.points, at];
    this.hooks.change(this.points, this.mode);
    if (this.mode === "point" || (this.drags && this.points.length === 2)) this.finish();
  }

  private readonly down = (e: MapMouseEvent): void => {
    if (!this.drags || e.originalEvent.button) return;
    e.preventDefault();
    this.pulling = true;
    this.points = [[e.lngLat.lng, e.lngLat.lat]];
  };

  private readonly move = (e: MapMouseEvent): void => {
    if (this.drags ? this.pulling || this.points.length === 1 : this.points.length > 0)
      this.hooks.change([...(this.drags ? this.points.slice(0, 1) : this.points), [e.lngLat.lng, e.lngLat.lat]], this.mode);
  };

  private readonly up = (e: MapMouseEvent): void => {
    if (!this.pulling) return;
    this.pulling = false;
    const here: LonLat = [e.lngLat.lng, e.lngLat.lat];
    const [a, b] = [this.map.project(this.points[0]!), e.point];
    // A click without a drag sets the first corner; the second click sets the other.
    if (Math.hypot(a.x - b.x, a.y - b.y) >= SAME_PX) this.add(here);
  };

  private readonly click = (e: MapMouseEvent): void => {
    if (!this.drags) this.add([e.lngLat.lng, e.lngLat.lat]);
  };

  private readonly twice = (): void => {
    if (!this.drags) this.finish();
  };

  private readonly key = (e: KeyboardEvent): void => {
    if (/^(INPUT|TEXTAREA|SELECT)$/.test((e.target as HTMLElement).tagName)) return;
    const run = { Escape: () => { this.end(); this.hooks.cancel(); }, Enter: () => this.finish(), Backspace: () => this.back(), " ": () => this.middle() }[e.key];
    if (!run || (e.target as HTMLElement).closest?.("button, a")) return;
    e.preventDefault();
    e.stopPropagation();
    run();
  };

  private back(): void {
    this.points = this.points.slice(0, -1);
    this.hooks.change(this.points, this.mode);
  }

  private middle(): void {
    const c = this.map.getCenter();
    this.add([c.lng, c.lat]);
  }
}
