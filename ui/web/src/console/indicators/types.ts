import type { Titled } from "../../common/types";

export type Level = "good" | "warn" | "bad" | "none";
export interface Indicator {
  key: string; title: Titled; group: string; unit: Titled; value: number | null; decimals: number; target: number | null; warn: number | null;
  better: "up" | "down" | null; level: Level; delta: number | null; delta_base: Titled; trend: [string, number | null][]; at: string | null;
  document: string | null; verified: boolean; things: string | null;
}
export interface Group { key: string; set: string; topic: string; title: Titled }
export interface Board { topic: string | null; day: string; groups: Group[]; indicators: Indicator[] }
export interface Place { code: string; name: string; value: number | null; level: Level }
export interface Origin { indicator: string; of: string; name: string; title: Titled | null; source_system: string | null; maintained_by: string | null; databases: string[]; where: string | null; measure: unknown }
export interface One extends Indicator { formula: string | null; window: { field: string; first: string; last: string } | null; parts: Indicator[]; lineage: Origin[]; by_district: Place[]; by_street: Place[]; definition: unknown }
export interface Row { num: number | null; code: string; name: string | null; district: string | null; street: string | null; lon: number | null; lat: number | null; value?: number | string | null; kind: string }
export interface Things { total: number; things: Row[]; next: number | null }
export interface Check { set: string; id: string; say: Titled; expr: string; values: Record<string, number | null>; holds: boolean | null }
export interface Item { key: string; document: string; title: Titled; target: number; better: "up" | "down"; unit?: string | Titled; indicator?: string; evidence?: string; missing?: Titled; value: number | null; reached: boolean | null; at?: string }
