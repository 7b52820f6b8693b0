/** What the doors of devices and products say. */
import type { Titled } from "../../common/types";

export interface Prop {
  name: string; title: Titled; type: "number" | "integer" | "boolean" | "enum" | "text"; unit: Titled | null;
  low: number | null; high: number | null; period_s: number | null; codes: Record<string, Titled>; observed: string | null;
}
export interface Product {
  key: string; title: Titled; note: Titled | null; kind: string; category: string; protocol: string; icon: string; moves: boolean; open: boolean;
  main: string | null; version: number; period_s: number | null; codec: "json" | "layout" | "javascript";
  retention: { raw_days: number; minute_days: number; hour_days: number };
  properties: Prop[]; settings: Prop[]; events: { name: string; title: Titled; level: number }[];
  commands: { name: string; title: Titled; args: Prop[]; ttl_s: number }[];
  devices?: number; revoked?: number;
}
export interface Reading {
  property: string; title: Titled; unit: Titled | null; type: Prop["type"]; value: number | boolean | string | null; number: number;
  at: string; low: number | null; high: number | null; text: Titled | null; period_s: number | null;
}
export type State = "live" | "silent" | "never" | "revoked";
export interface Device {
  product: string; device: string; num: number; code: string; name: string; kind: string; district: string | null; district_name: string | null; street_name: string | null;
  point: [number, number] | null; state: State; heard_at: string | null; online: boolean; firmware: string | null; main: Reading | null; battery_pct: number | null;
}
export interface Hour { hour: string; accepted: number; stored: number; rejected: number; duplicate: number }
export interface Full extends Device {
  product_title: Titled | null; icon: string; values: Reading[]; loose: { property: string; value: number; at: string }[]; texts: Record<string, string>;
  followed_until: string | null; created_at: string; labels: Record<string, string>; ledger: Hour[];
}
export interface Series {
  property: string; title: Titled; unit: Titled | null; type: Prop["type"]; low: number | null; high: number | null; from: string; to: string; codes: Titled[];
  step_s: number | null; values?: [string, number][]; buckets?: [string, number, number, number, number][];
}
export interface Statistics {
  products: { product: string; title: Titled; icon: string; devices: number; live: number; silent: number; never: number; revoked: number; online: number }[];
  hours: (Hour & { devices: number })[]; down: { hour: string; sent: number; done: number; failed: number }[];
  reasons: { reason: string; records: number; devices: number; last_at: string }[];
  worst: { product: string; device: string; name: string; code: string; accepted: number; stored: number; rejected: number; duplicate: number }[];
  unknown: { accepted: number; rejected: number } | null; at: string;
}
