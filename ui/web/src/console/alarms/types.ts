/** What the doors of alarms, rules, tickets, forwarding and updates answer. */
import type { Titled } from "../../common/types";

export interface Alarm {
  code: string; title: string; state: string; severity: number; opened_at: string; closed_at: string | null; version: number;
  rule: string; rule_title: Titled | null; thing: string | null; thing_name: string | null; members: number; standing: number;
  value: number | null; unit: string | null; property: string | null; product: string | null; since: string; advice: Titled | null; fault: string | null;
  event: string | null; state_title: Titled; category_title: Titled | null; holder_name: Titled | null; district_name: string | null; street_name: string | null;
  point: [number, number] | null; actions: string[]; acknowledged_at: string | null;
}
export interface Member { code: string; name: string; level: number; value: number | null; peak: number | null; property: string | null; since: string; raised_at: string; cleared_at: string | null; point: [number, number] | null }
export interface Step { seq: number | null; at: string; actor: string; actor_name: Titled | null; action: string; title: Titled | null; members: number | null; standing: number | null; note: string | null }
export interface Detail extends Alarm { things: Member[]; story: Step[]; action_titles: Record<string, { title: Titled; need: Record<string, { title: Titled; required?: boolean }> }> }
export interface Counts { open: number; ringing: number; level1: number; level2: number; level3: number; level4: number; things: number }
export interface Rule {
  key: string; title: Titled; level: number; product: string | null; kind: string | null; form: string; when: unknown; enabled: boolean; version: number; origin: string;
  standing: number; week: number; fault: string | null; took_ms: number | null; can_simulate: boolean; doc: Record<string, unknown>;
}
export interface Trial {
  devices: number; values: number; cut: boolean; alarms: number; devices_with_alarms: number; per_day: number; median_minutes: number | null;
  by_day: { day: string; alarms: number }[]; found: { code: string; name: string; raised_at: string; cleared_at: string | null; peak: number | null }[];
}
export interface Silence { id: number; rule: string | null; code: string | null; thing_name: string | null; district: string | null; starts_at: string; ends_at: string; reason: string; actor: string; kept: number }
