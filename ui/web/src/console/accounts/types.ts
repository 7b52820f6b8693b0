/** What the doors of people, places and keys say. */
import type { Titled } from "../../common/types";

export type PlaceType = "city" | "unit" | "district" | "street" | "grid" | "village" | "contractor";
export interface Place {
  code: string; parent: string | null; type: PlaceType; name: Titled; district: string | null; street: string | null;
  things: string[]; closed: boolean; version: number; shaped: boolean; people: number; geojson: string | null;
}
export interface Person {
  user: string; name: Titled; roles: string[]; districts: string[] | null; clearance: number; crew: string | null; disabled: boolean;
  locked_until: string | null; organisation: string | null; totp_confirmed: boolean; must_change: boolean; password_at: string;
  last_login_at: string | null; single_sign_on: boolean; unaltered: boolean;
}
export interface Role { key: string; title: Titled; acts: string[]; second_factor?: boolean }
export interface Key {
  id: string; name: string; acts: string[]; clearance: number; kinds: string[] | null; districts: string[] | null;
  fields: Record<string, string[]> | null; addresses: string[] | null; rate_per_s: number; burst: number; daily_quota: number;
  expires_at: string; revoked_at: string | null; created_by: string; created_at: string; last_used_at: string | null;
  today: number; refused_today: number; month: number;
}
export interface OwnSession {
  id: string; created_at: string; seen_at: string; expires_at: string; bearer: boolean; address: string | null; agent: string | null;
  acts: string[] | null; label: string | null; this?: boolean;
}
