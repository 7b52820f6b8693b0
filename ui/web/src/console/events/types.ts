/** The shapes of the events page. */
import type { Event, Titled } from "../../common/types";

export interface Row extends Event {
  domain: string | null; skill: string | null; entered_at: string; reworks: number; tags: string[]; provisional: boolean; final: boolean;
  rule_fault: { rule: string; why: string } | null; parent?: string | null; department_name?: string | null;
}
export interface Page { events: Row[]; total: number; next: string | null }
export interface Filters {
  state: "open" | "closed" | "all"; stage: string; severity: string; category: string; source: string; district: string; department: string; tag: string;
  text: string; late: boolean; opened_from: string; opened_to: string; inView: boolean;
}
export type ColumnKey = "severity" | "what" | "code" | "place" | "state" | "holder" | "due" | "opened" | "source" | "tags" | "reporter" | "reworks" | "category" | "entered";
export type Sort = "severity" | "due" | "opened" | "-opened" | "entered";
export interface ViewDoc { filters: Partial<Filters>; columns: ColumnKey[]; sort: Sort; map?: { center: [number, number]; zoom: number } }
export interface SavedView { id: number; owner: string; name: string; doc: ViewDoc; shared: boolean; mine: boolean }
export interface Outcome { done: string[]; refused: { code: string; why: string; error: string }[] }
export interface Duplicate { code: string; score: number; parts: { distance_m: number; hours: number; text: number; category: boolean | number; thing?: boolean | number }; lon: number; lat: number; title?: string }
export interface Named { code: string; name: Titled | string }
