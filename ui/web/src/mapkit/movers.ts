/** Moving things: one packed record each, written once a fix; the graphics card glides them in between. */
import { CREW, STALE, type Frame } from "./frame";
import { calm, raw, rgba, type Theme } from "./tokens";

export const GLIDE_MS = raw.motion_ms.glide;
/** How a mover looks, from below to above. */
export const LOOKS = ["vehicle-stale", "crew-stale", "vehicle", "crew"] as const;
/** Bytes of a record: place (high and low part), way still to go, since when, angle, colour, look. */
export const RECORD = 40;
const F = RECORD / 4;
const OFFLINE = 4;
/** A jump of more than about 500 m is not a drive: show it where it is. */
const JUMP_DEG = 0.006;

export class Movers {
  private slots = new Map<number, number>();
  private num = new Uint32Array(256);
  private from = new Float64Array(512);
  private to = new Float64Array(512);
  private since = new Float64Array(256);
  private heading = new Float32Array(256);
  private status = new Uint8Array(256);
  private look = new Uint8Array(256);
  private order = new Uint32Array(256);
  private packed = new ArrayBuffer(256 * RECORD);
  private inks = new Uint32Array(8);
  private inked: Theme | null = null;
  /** What the card draws: `count` records, anew when `version` has grown; times count from `base`. */
  records = new Uint8Array(this.packed);
  count = 0;
  version = 0;
  base = 0;
  /** When the last of them has arrived; nothing needs drawing after it. */
  restAt = 0;
  t_ms = 0;

  get size(): number { return this.slots.size; }

  clear(): void { this.slots.clear(); }

  private grow(): void {
    const wider = <T extends Float64Array | Float32Array | Uint32Array | Uint8Array>(a: T): T => {
      const b = new (a.constructor as new (n: number) => T)(a.length * 2);
      b.set(a as never);
      return b;
    };
    [this.num, this.since, this.heading] = [wider(this.num), wider(this.since), wider(this.heading)];
    [this.from, this.to] = [wider(this.from), wider(this.to)];
    [this.status, this.look, this.order] = [wider(this.status), wider(this.look), wider(this.order)];
    this.packed = new ArrayBuffer(this.num.length * RECORD);
    this.records = new Uint8Array(this.packed);
  }

  private slotOf(id: number): number {
    const slot = this.slots.size;
    if (slot >= this.num.length) this.grow();
    this.slots.set(id, slot);
    this.num[slot] = id;
    return slot;
  }

  /** Take a frame; `snap` puts things where they are without gliding (the past, the first frame, reduced motion). */
  apply(frame: Frame, now: number, snap = false): void {
    const still = snap || calm();
    this.t_ms = frame.t_ms;
    for (let i = 0; i < frame.count; i++) {
      const known = this.slots.get(frame.num[i]!);
      const slot = known ?? this.slotOf(frame.num[i]!);
      const [a, b] = [slot * 2, slot * 2 + 1];
      const x = frame.lon[i]!;
      const y = frame.lat[i]!;
      const k = Math.min(1, (now - this.since[slot]!) / GLIDE_MS);
      const hereX = this.from[a]! + (this.to[a]! - this.from[a]!) * k;
      const hereY = this.from[b]! + (this.to[b]! - this.from[b]!) * k;
      const jumps = still || known === undefined || Math.abs(x - hereX) + Math.abs(y - hereY) > JUMP_DEG;
      this.from[a] = jumps ? x : hereX;
      this.from[b] = jumps ? y : hereY;
      this.to[a] = x;
      this.to[b] = y;
      this.since[slot] = now;
      if (!jumps && (x !== hereX || y !== hereY)) this.restAt = now + GLIDE_MS;
      this.heading[slot] = frame.heading[i]!;
      const status = frame.status[i]!;
      const flags = frame.flags[i]!;
      this.status[slot] = status;
      this.look[slot] = ((flags & STALE) !== 0 || status === OFFLINE ? 0 : 2) + ((flags & CREW) !== 0 ? 1 : 0);
    }
  }

  /** Where a thing is drawn at this instant, for following it and for tests. */
  where(num: number, now = performance.now()): [number, number] | null {
    const slot = this.slots.get(num);
    if (slot === undefined) return null;
    const k = Math.min(1, (now - this.since[slot]!) / GLIDE_MS);
    const [a, b] = [slot * 2, slot * 2 + 1];
    return [this.from[a]! + (this.to[a]! - this.from[a]!) * k, this.from[b]! + (this.to[b]! - this.from[b]!) * k];
  }

  statusOf(num: number): number | null {
    const slot = this.slots.get(num);
    return slot === undefined ? null : this.status[slot]!;
  }

  /** The thing of a drawn record, for picking. */
  numAt(index: number): number | null {
    return index < this.count ? this.num[this.order[index]!]! : null;
  }

  /** Write the records anew, what is stale below what is fresh. */
  pack(theme: Theme, now: number): void {
    this.dip(theme);
    this.sort();
    const floats = new Float32Array(this.packed);
    const words = new Uint32Array(this.packed);
    this.count = this.slots.size;
    this.base = now;
    for (let i = 0, at = 0; i < this.count; i++, at += F) {
      const slot = this.order[i]!;
      const [a, b] = [slot * 2, slot * 2 + 1];
      const x = this.to[a]!;
      const y = this.to[b]!;
      // A place in two floats: one alone is a metre wide at this longitude.
      floats[at] = x;
      floats[at + 1] = y;
      floats[at + 2] = x - floats[at]!;
      floats[at + 3] = y - floats[at + 1]!;
      floats[at + 4] = this.from[a]! - x;
      floats[at + 5] = this.from[b]! - y;
      floats[at + 6] = Math.max(-GLIDE_MS, this.since[slot]! - now);
      floats[at + 7] = -this.heading[slot]!;
      words[at + 8] = this.inks[this.status[slot]!] ?? this.inks[0]!;
      floats[at + 9] = this.look[slot]!;
    }
    this.version += 1;
  }

  /** The colours of the states as the card reads them. */
  private dip(theme: Theme): void {
    if (this.inked === theme) return;
    this.inked = theme;
    const inks = Object.values(raw.mover_status).map((s) => rgba(theme, s.token));
    this.inks = new Uint32Array(new Uint8Array(inks.flat()).buffer);
  }

  /** Order slots by look: a counting sort, for there are four. */
  private sort(): void {
    const n = this.slots.size;
    const starts = [0, 0, 0, 0, 0];
    for (let slot = 0; slot < n; slot++) starts[this.look[slot]! + 1]! += 1;
    for (let l = 1; l < 5; l++) starts[l]! += starts[l - 1]!;
    for (let slot = 0; slot < n; slot++) this.order[starts[this.look[slot]!]!++] = slot;
  }
}
