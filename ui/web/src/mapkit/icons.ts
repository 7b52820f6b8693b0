/** Map symbols, drawn once on a canvas: shape = kind, fill = state, ring = severity. */
import paths from "./icons.json";
import { colour, raw, type Theme } from "./tokens";

export const iconPaths = paths as Record<string, string[]>;

export function stroke(ctx: CanvasRenderingContext2D, name: string, x: number, y: number, size: number, ink: string, width = 2): void {
  ctx.save();
  ctx.translate(x - size / 2, y - size / 2);
  ctx.scale(size / 24, size / 24);
  ctx.strokeStyle = ink;
  ctx.lineWidth = width;
  ctx.lineCap = ctx.lineJoin = "round";
  for (const d of iconPaths[name] ?? iconPaths["map-pin"]!) ctx.stroke(new Path2D(d));
  ctx.restore();
}

function canvas(size: number): CanvasRenderingContext2D {
  const el = document.createElement("canvas");
  el.width = el.height = size;
  return el.getContext("2d", { willReadFrequently: true })!;
}

/** The outline of a severity's shape, centred. */
export function outline(ctx: CanvasRenderingContext2D, shape: string, x: number, y: number, r: number): void {
  ctx.beginPath();
  if (shape === "triangle") {
    const h = r * 1.12;
    ctx.moveTo(x, y - h);
    ctx.lineTo(x + h * 0.98, y + h * 0.72);
    ctx.lineTo(x - h * 0.98, y + h * 0.72);
    ctx.closePath();
  } else if (shape === "diamond") {
    const h = r * 1.14;
    ctx.moveTo(x, y - h);
    ctx.lineTo(x + h, y);
    ctx.lineTo(x, y + h);
    ctx.lineTo(x - h, y);
    ctx.closePath();
  } else ctx.arc(x, y, r, 0, Math.PI * 2);
}

/** The direction of a flow: a chevron in the line's own colour, with a halo so that it reads on it. */
function chevron(token: string, theme: Theme, ratio: number): ImageData {
  const s = 14 * ratio;
  const ctx = canvas(s);
  ctx.lineCap = ctx.lineJoin = "round";
  for (const [ink, width] of [[colour(theme, "halo"), 4.5], [colour(theme, token), 2]] as const) {
    ctx.beginPath();
    ctx.moveTo(s * 0.36, s * 0.22);
    ctx.lineTo(s * 0.68, s * 0.5);
    ctx.lineTo(s * 0.36, s * 0.78);
    ctx.strokeStyle = ink;
    ctx.lineWidth = width * ratio;
    ctx.stroke();
  }
  return ctx.getImageData(0, 0, s, s);
}

/** A symbol for MapLibre: `kind:{icon}:{token}` or `arrow:{token}`; null when the id is not ours. */
export function symbol(id: string, theme: Theme, ratio: number): ImageData | null {
  const [what, icon, domain] = id.split(":");
  if (what === "arrow" && icon) return chevron(icon, theme, ratio);
  if (what !== "kind" || !icon || !domain) return null;
  const s = 22 * ratio;
  const ctx = canvas(s);
  ctx.beginPath();
  ctx.roundRect(ratio, ratio, s - 2 * ratio, s - 2 * ratio, 6 * ratio);
  ctx.fillStyle = colour(theme, "panel_solid");
  ctx.fill();
  ctx.lineWidth = ratio;
  ctx.strokeStyle = colour(theme, "boundary_minor");
  ctx.stroke();
  stroke(ctx, icon, s / 2, s / 2, 13 * ratio, colour(theme, domain), 2);
  return ctx.getImageData(0, 0, s, s);
}

export interface Atlas {
  atlas: HTMLCanvasElement;
  mapping: Record<string, { x: number; y: number; width: number; height: number; anchorX: number; anchorY: number; mask: boolean }>;
}

const CELL = 96;

/** The phases of an event that the map tells apart: untouched, being handled, done but not verified, closed. */
export const PHASES = ["new", "hand", "verify", "closed"] as const;
export type Phase = (typeof PHASES)[number];

function eventMark(ctx: CanvasRenderingContext2D, x: number, y: number, theme: Theme, level: string, phase: Phase, late: boolean): void {
  const { token, shape } = (raw.severity as Record<string, { token: string; shape: string }>)[level]!;
  const ink = phase === "closed" ? colour(theme, "stale") : colour(theme, token);
  const halo = colour(theme, "halo");
  const r = shape === "ring" ? 20 : 24;
  if (late && phase !== "closed") {
    outline(ctx, shape, x, y, r + 14);
    ctx.lineWidth = 5;
    ctx.strokeStyle = ink;
    ctx.stroke();
  }
  outline(ctx, shape, x, y, r);
  ctx.lineJoin = "round";
  ctx.lineWidth = 14;
  ctx.strokeStyle = halo;
  ctx.stroke();
  ctx.fillStyle = phase === "new" && shape !== "ring" ? ink : halo;
  ctx.fill();
  ctx.lineWidth = shape === "ring" ? 8 : 7;
  ctx.strokeStyle = ink;
  ctx.stroke();
  if (phase === "hand" || phase === "verify") {
    outline(ctx, shape === "ring" ? "circle" : shape, x, y, 9);
    ctx.fillStyle = phase === "verify" ? colour(theme, "good") : ink;
    ctx.fill();
  }
}

/** An alarm of a device: a call in a square, so that nobody takes it for an event; filled while it rings. */
function alarmMark(ctx: CanvasRenderingContext2D, x: number, y: number, theme: Theme, level: string, known: boolean): void {
  const ink = colour(theme, (raw.severity as Record<string, { token: string }>)[level]!.token);
  const halo = colour(theme, "halo");
  ctx.beginPath();
  ctx.roundRect(x - 27, y - 27, 54, 54, 13);
  ctx.lineWidth = 12;
  ctx.strokeStyle = halo;
  ctx.stroke();
  ctx.fillStyle = known ? halo : ink;
  ctx.fill();
  ctx.lineWidth = 6;
  ctx.strokeStyle = ink;
  ctx.stroke();
  ctx.fillStyle = known ? ink : halo;
  ctx.beginPath();
  ctx.roundRect(x - 4.5, y - 17, 9, 21, 4);
  ctx.fill();
  ctx.beginPath();
  ctx.arc(x, y + 13, 5.5, 0, Math.PI * 2);
  ctx.fill();
}

function arrow(ctx: CanvasRenderingContext2D, x: number, y: number, hollow: boolean): void {
  ctx.beginPath();
  ctx.moveTo(x, y - 30);
  ctx.lineTo(x + 22, y + 26);
  ctx.lineTo(x, y + 14);
  ctx.lineTo(x - 22, y + 26);
  ctx.closePath();
  ctx.lineJoin = "round";
  ctx.lineWidth = hollow ? 7 : 5;
  ctx.strokeStyle = ctx.fillStyle = "#fff";
  if (!hollow) ctx.fill();
  ctx.stroke();
}

function crew(ctx: CanvasRenderingContext2D, x: number, y: number, hollow: boolean): void {
  ctx.strokeStyle = ctx.fillStyle = "#fff";
  ctx.lineWidth = 7;
  ctx.beginPath();
  ctx.arc(x, y, 24, 0, Math.PI * 2);
  ctx.stroke();
  if (hollow) return;
  ctx.beginPath();
  ctx.arc(x, y, 12, 0, Math.PI * 2);
  ctx.fill();
}

/** One atlas for the live layers: 32 event marks, 8 of alarms and the movers' masks. */
export function liveAtlas(theme: Theme): Atlas {
  const el = document.createElement("canvas");
  el.width = CELL * 8;
  el.height = CELL * 6;
  const ctx = el.getContext("2d")!;
  const mapping: Atlas["mapping"] = {};
  let n = 0;
  const cell = (id: string, mask: boolean, draw: (x: number, y: number) => void) => {
    const [x, y] = [(n % 8) * CELL, Math.floor(n / 8) * CELL];
    mapping[id] = { x, y, width: CELL, height: CELL, anchorX: CELL / 2, anchorY: CELL / 2, mask };
    draw(x + CELL / 2, y + CELL / 2);
    n += 1;
  };
  for (const level of ["1", "2", "3", "4"])
    for (const phase of PHASES)
      for (const late of [false, true])
        cell(`e${level}-${phase}${late ? "-late" : ""}`, false, (x, y) => eventMark(ctx, x, y, theme, level, phase, late));
  for (const level of ["1", "2", "3", "4"])
    for (const known of [false, true]) cell(`a${level}${known ? "-known" : ""}`, false, (x, y) => alarmMark(ctx, x, y, theme, level, known));
  cell("vehicle", true, (x, y) => arrow(ctx, x, y, false));
  cell("vehicle-stale", true, (x, y) => arrow(ctx, x, y, true));
  cell("crew", true, (x, y) => crew(ctx, x, y, false));
  cell("crew-stale", true, (x, y) => crew(ctx, x, y, true));
  return { atlas: el, mapping };
}
