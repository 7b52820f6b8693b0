/** What the data resource centre answers with. */
import type { Titled } from "../../common/types";

export type Severity = "error" | "warn" | "info";
export interface Item {
  kind: string; title: Titled; topic: string; topic_title: Titled; databases: { key: string; title: Titled }[]; geometry: string; level: string;
  share: string; share_title: Titled; provider: { key: string; title: Titled } | null; source_system: string; update_every: string | null;
  fields: number; things: number; extent: [number, number, number, number] | null; freshest: string | null; fresh: boolean | null;
  published_at: string | null; changed_at: string | null; version: number; score: number | null; failures: Record<Severity, number>;
}
export interface Database { key: string; module: number; topic: string; title: Titled; description: Titled }
export interface Catalogue { items: Item[]; total: number; topics: { key: string; title: Titled }[]; databases: Database[] }
export interface FieldInfo {
  name: string; title: Titled; type: string; unit: Titled | null; required: boolean; level: string;
  codes: { code: string; title: Titled }[] | null; targets: string[]; min: number | null; max: number | null; note: Titled | string | null;
}
export interface Rule { id: string; check: string; severity: Severity; title: Titled; fields: string[]; expr: string | null; failing: number; since: string | null }
export interface Case { rule: string; owner: string; owner_title: Titled | null; code: string; state: string; opened_at: string; due_at: string | null; failing: number }
export interface Detail extends Item {
  field_list: FieldInfo[]; rules: Rule[]; checked: { at: string; things: number; failures: number; seconds: number } | null; cases: Case[];
  scores: { day: string; score: number; things: number }[]; sources: { source: string; loads: number; last_at: string; inserted: number; updated: number }[];
  links: { rel: string; href: string; type: string }[];
}
export interface Failure { num: number; rule: string; severity: Severity; detail: string; owner: string; found_at: string; code: string | null; name: string | null; district_name: string | null; lon: number | null; lat: number | null }
export interface Node { id: string; lane: string; label: string; source?: string; at?: string; actor?: string; undone_at?: string | null; inserted?: number; updated?: number; unchanged?: number; loads?: number; things?: number; direct?: boolean; title?: Titled; href?: string }
export interface Edge { from: string; to: string; rows: { in?: number; out: number; rejected?: number } }
export interface Graph { lanes: string[]; nodes: Node[]; edges: Edge[] }
export interface Covered { district: string; name: string; km2: number; things: number; per_km2: number | null; freshest: string | null; score: number | null; errors: number; warns: number; infos: number }
