/** Moving things: typed arrays of fixes, glided between one second and the next, handed to deck as binary attributes. */
import { CREW, STALE, type Frame } from "./frame";
import { calm, raw, rgba, type Theme } from "./tokens";

const GLIDE_MS = raw.motion_ms.glide;
export const GROUPS = ["vehicles", "vehicles-stale", "crews", "crews-stale"] as const;
export type Group = (typeof GROUPS)[number];

export interface GroupData {
  length: number;
  nums: Uint32Array;
  attributes: {
    getPosition: { value: Float64Array; size: 2 };
    getAngle: { value: Float32Array; size: 1 };
    getColor: { value: Uint8Array; size: 4; normalized: true };
  };
}

export class Movers {
  private slots = new Map<number, number>();
  private num = new Uint32Array(256);
  private from = new Float64Array(512);
  private to = new Float64Array(512);
  private since = new Float64Array(256);
  private heading = new Float32Array(256);
  private status = new Uint8Array(256);
  private flags = new Uint8Array(256);
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
    [this.status, this.flags] = [wider(this.status), wider(this.flags)];
  }

  /** Take a frame; `snap` puts things where they are without gliding (the past, the first frame, reduced motion). */
  apply(frame: Frame, now: number, snap = false): void {
    this.t_ms = frame.t_ms;
    for (let i = 0; i < frame.count; i++) {
      const id = frame.num[i]!;
      let slot = this.slots.get(id);
      const isNew = slot === undefined;
      if (slot === undefined) {
        slot = this.slots.size;
        if (slot >= this.num.length) this.grow();
        this.slots.set(id, slot);
        this.num[slot] = id;
      }
      const [x, y] = [frame.lon[i]!, frame.lat[i]!];
      const here = this.place(slot, now);
      // A jump of more than about 500 m is not a drive: show it where it is.
      const still = isNew || snap || calm() || Math.abs(x - here[0]) + Math.abs(y - here[1]) > 0.006;
      this.from[slot * 2] = still ? x : here[0];
      this.from[slot * 2 + 1] = still ? y : here[1];
      this.to[slot * 2] = x;
      this.to[slot * 2 + 1] = y;
      this.since[slot] = now;
      this.heading[slot] = frame.heading[i]!;
      this.status[slot] = frame.status[i]!;
      this.flags[slot] = frame.flags[i]!;
    }
  }

  private place(slot: number, now: number): [number, number] {
    const k = Math.min(1, (now - this.since[slot]!) / GLIDE_MS);
    const [a, b] = [slot * 2, slot * 2 + 1];
    return [this.from[a]! + (this.to[a]! - this.from[a]!) * k, this.from[b]! + (this.to[b]! - this.from[b]!) * k];
  }

  /** Where a thing is drawn at this instant, for following it and for tests. */
  where(num: number, now = performance.now()): [number, number] | null {
    const slot = this.slots.get(num);
    return slot === undefined ? null : this.place(slot, now);
  }

  moving(now: number): boolean {
    for (const slot of this.slots.values())
      if (now - this.since[slot]! < GLIDE_MS && (this.from[slot * 2] !== this.to[slot * 2] || this.from[slot * 2 + 1] !== this.to[slot * 2 + 1])) return true;
    return false;
  }

  statusOf(num: number): number | null {
    const slot = this.slots.get(num);
    return slot === undefined ? null : this.status[slot]!;
  }

  /** The arrays that deck draws now, one set for each look. */
  groups(theme: Theme, now: number): Record<Group, GroupData> {
    const inks = Object.values(raw.mover_status).map((s) => rgba(theme, s.token));
    const lists: Record<Group, number[]> = { vehicles: [], "vehicles-stale": [], crews: [], "crews-stale": [] };
    for (const slot of this.slots.values()) {
      const stale = (this.flags[slot]! & STALE) !== 0 || this.status[slot] === 4;
      lists[`${this.flags[slot]! & CREW ? "crews" : "vehicles"}${stale ? "-stale" : ""}`].push(slot);
    }
    return Object.fromEntries(GROUPS.map((g) => [g, this.fill(lists[g], inks, now)])) as Record<Group, GroupData>;
  }

  private fill(slots: number[], inks: number[][], now: number): GroupData {
    const n = slots.length;
    const data: GroupData = {
      length: n, nums: new Uint32Array(n),
      attributes: {
        getPosition: { value: new Float64Array(n * 2), size: 2 },
        getAngle: { value: new Float32Array(n), size: 1 },
        getColor: { value: new Uint8Array(n * 4), size: 4, normalized: true },
      },
    };
    const { getPosition, getAngle, getColor } = data.attributes;
    for (let i = 0; i < n; i++) {
      const slot = slots[i]!;
      const k = Math.min(1, (now - this.since[slot]!) / GLIDE_MS);
      const [a, b] = [slot * 2, slot * 2 + 1];
      data.nums[i] = this.num[slot]!;
      getPosition.value[i * 2] = this.from[a]! + (this.to[a]! - this.from[a]!) * k;
      getPosition.value[i * 2 + 1] = this.from[b]! + (this.to[b]! - this.from[b]!) * k;
      getAngle.value[i] = -this.heading[slot]!;
      const ink = inks[this.status[slot]!] ?? inks[0]!;
      for (let c = 0; c < 4; c++) getColor.value[i * 4 + c] = ink[c]!;
    }
    return data;
  }
}
