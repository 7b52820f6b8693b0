/** The shapes of the policies page. */
import type { Titled } from "../../common/types";

export interface Listed { kind: string; key: string; title: Titled; version: number; published_at: string; by: string; running: number; origin: string }
export interface VersionOf { version: number; at: string; by: string; origin: string; note: string | null; running: number | null }
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Doc = { [key: string]: Json };
export interface One { kind: string; key: string; version: number; document: Doc; versions: VersionOf[] }
export interface Fault { path: (string | number)[]; why: string }
export interface Checked { faults: Fault[]; warnings: Fault[] }
export interface Moved { code: string; title: string; from: string; to: string; lon: number | null; lat: number | null; href?: string }
export interface Trial { read: number; changed: number; moved: Moved[] }
export interface FlowState { state: string; title: Titled; stage: number; final: boolean; open: number; late: number; n: number; median_s: number | null; p90_s: number | null }
export interface FlowArc { action: string; from: string; to: string; n: number; title: Titled }
export interface Flow { key: string; version: number; days: number; states: FlowState[]; arcs: FlowArc[] }
export interface Dry { moved?: number; would?: number; stuck?: { code: string; why: string }[]; batch?: string; [more: string]: unknown }
