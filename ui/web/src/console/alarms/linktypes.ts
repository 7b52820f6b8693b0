/** What the doors of linkages say. */
import type { Titled } from "../../common/types";

export type Form = "value" | "alarm" | "at" | "manual";
export const FORMS: Form[] = ["value", "alarm", "at", "manual"];
export type ActionName = "command" | "notice" | "alarm" | "case";
export const ACTIONS: ActionName[] = ["command", "notice", "alarm", "case"];
export const TARGETS = ["same", "near_m", "district", "all"] as const;
export interface ValueTrigger { product: string; property: string; above?: number; below?: number; is?: boolean | string | number; clear?: number }
export interface AlarmTrigger { rule: string; level?: number }
export interface AtTrigger { time: string; days?: number[] }
export interface Trigger { value?: ValueTrigger; alarm?: AlarmTrigger; at?: AtTrigger; manual?: true }
export interface Command { product: string; name: string; args?: Record<string, unknown>; to: Record<string, unknown>; changes?: string[] }
export interface Action { command?: Command; notice?: { groups?: string[]; roles?: string[] }; alarm?: { level: number }; case?: { category: string; severity?: number; words?: string } }
export interface LinkDoc { key: string; title: Titled; verified?: boolean; enabled?: boolean; trigger: Trigger; when?: string; quiet?: string; most_per_hour?: number; actions: Action[] }
export interface Linkage { key: string; title: Titled; form: Form; enabled: boolean; version: number; document: LinkDoc; done: number; failed: number; last_at: string | null; fault: string | null }
export interface Did { action: ActionName; name?: string; devices?: number; alarm?: string; people?: number; level?: number; event?: string }
export interface Run {
  id: string; linkage: string; at: string; actor: string; actor_name: Titled | null; state: "done" | "failed" | "held"; did: Did[]; fault: string | null;
  cause: { form: Form; value: number | null; alarm: { rule: string; level: number } | null; thing: string | null; thing_name: string | null };
}

export const formOf = (doc: LinkDoc): Form => Object.keys(doc.trigger)[0] as Form;
export const nameOf = (one: Action): ActionName => Object.keys(one)[0] as ActionName;
