/** Many points drawn as few: clusters by cells of the screen, hexagons by cells of the ground. */
export type LonLat = [number, number];
export interface Cluster<T> { point: LonLat; items: T[]; worst: number }
export interface Hexagon<T> { ring: LonLat[]; center: LonLat; items: T[] }

const WORLD = 512;
const toX = (lon: number, zoom: number) => ((lon + 180) / 360) * WORLD * 2 ** zoom;
const toY = (lat: number, zoom: number) => (0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)) * WORLD * 2 ** zoom;
const toLon = (x: number, zoom: number) => (x / (WORLD * 2 ** zoom)) * 360 - 180;
const toLat = (y: number, zoom: number) => (Math.atan(Math.sinh((0.5 - y / (WORLD * 2 ** zoom)) * 2 * Math.PI)) * 180) / Math.PI;

/** Points nearer to each other than `px` become one; the cell is of the whole zoom, so that panning changes nothing. */
export function clusters<T>(list: T[], at: (one: T) => LonLat | null, weight: (one: T) => number, zoom: number, px = 56): Cluster<T>[] {
  const z = Math.floor(zoom * 2) / 2;
  const cells = new Map<string, { x: number; y: number; items: T[]; worst: number }>();
  for (const one of list) {
    const p = at(one);
    if (!p) continue;
    const [x, y] = [toX(p[0], z), toY(p[1], z)];
    const key = `${Math.floor(x / px)} ${Math.floor(y / px)}`;
    const cell = cells.get(key);
    if (cell) {
      cell.x += x;
      cell.y += y;
      cell.items.push(one);
      cell.worst = Math.min(cell.worst, weight(one));
    } else cells.set(key, { x, y, items: [one], worst: weight(one) });
  }
  return [...cells.values()].map((c) => ({ point: [toLon(c.x / c.items.length, z), toLat(c.y / c.items.length, z)], items: c.items, worst: c.worst }));
}

/** Hexagons of about `px` pixels across at this zoom; their size on the ground stays while the zoom stays within a half. */
export function hexagons<T>(list: T[], at: (one: T) => LonLat | null, zoom: number, px = 44): Hexagon<T>[] {
  const z = Math.floor(zoom * 2) / 2;
  const size = px / 2;
  const cells = new Map<string, { q: number; r: number; items: T[] }>();
  for (const one of list) {
    const p = at(one);
    if (!p) continue;
    const [x, y] = [toX(p[0], z), toY(p[1], z)];
    const [q, r] = rounded(((Math.sqrt(3) / 3) * x - y / 3) / size, ((2 / 3) * y) / size);
    const cell = cells.get(`${q} ${r}`);
    if (cell) cell.items.push(one);
    else cells.set(`${q} ${r}`, { q, r, items: [one] });
  }
  return [...cells.values()].map(({ q, r, items }) => {
    const [x, y] = [size * Math.sqrt(3) * (q + r / 2), size * 1.5 * r];
    const ring = Array.from({ length: 7 }, (_, i): LonLat => {
      const a = (Math.PI / 180) * (60 * i - 30);
      return [toLon(x + size * 0.94 * Math.cos(a), z), toLat(y + size * 0.94 * Math.sin(a), z)];
    });
    return { ring, center: [toLon(x, z), toLat(y, z)], items };
  });
}

function rounded(q: number, r: number): [number, number] {
  const s = -q - r;
  let [a, b] = [Math.round(q), Math.round(r)];
  const c = Math.round(s);
  const [dq, dr, ds] = [Math.abs(a - q), Math.abs(b - r), Math.abs(c - s)];
  if (dq > dr && dq > ds) a = -b - c;
  else if (dr > ds) b = -a - c;
  return [a, b];
}

const RAD = Math.PI / 180;
const EARTH_M = 6371008.8;

/** Metres between two points over the sphere. */
export function metres(a: LonLat, b: LonLat): number {
  const h = Math.sin(((b[1] - a[1]) * RAD) / 2) ** 2 + Math.cos(a[1] * RAD) * Math.cos(b[1] * RAD) * Math.sin(((b[0] - a[0]) * RAD) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Degrees from north, clockwise, from a to b. */
export function azimuth(a: LonLat, b: LonLat): number {
  const d = (b[0] - a[0]) * RAD;
  const y = Math.sin(d) * Math.cos(b[1] * RAD);
  const x = Math.cos(a[1] * RAD) * Math.sin(b[1] * RAD) - Math.sin(a[1] * RAD) * Math.cos(b[1] * RAD) * Math.cos(d);
  return (Math.atan2(y, x) / RAD + 360) % 360;
}

/** Square metres inside a ring over the sphere. */
export function squareMetres(ring: LonLat[]): number {
  let sum = 0;
  for (let i = 0; i < ring.length; i++) {
    const [a, b] = [ring[i]!, ring[(i + 1) % ring.length]!];
    sum += (b[0] - a[0]) * RAD * (2 + Math.sin(a[1] * RAD) + Math.sin(b[1] * RAD));
  }
  return Math.abs((sum * EARTH_M * EARTH_M) / 2);
}

/** A circle of a radius in metres as a closed ring. */
export function circle(center: LonLat, radius_m: number, steps = 96): LonLat[] {
  const up = radius_m / 111_195;
  const side = up / Math.cos(center[1] * RAD);
  return Array.from({ length: steps + 1 }, (_, i): LonLat => [center[0] + side * Math.cos((2 * Math.PI * i) / steps), center[1] + up * Math.sin((2 * Math.PI * i) / steps)]);
}
