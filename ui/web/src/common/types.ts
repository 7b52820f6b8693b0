/** The shapes that the API answers with. */
export interface Titled { zh: string; en: string }
export type LonLat = [number, number];

export interface Session { user: string; name: Titled | string; roles: string[]; districts: string[] | null; crew: string | null; expires_at: string;
  acts: string[]; role_titles: Titled[]; organisation: { code: string; type: string; name: Titled } | null; streets: string[] | null; area: boolean;
  second_factor: boolean; recovery_left: number; first: "password" | "totp" | null; password_until: string | null }
/** A base map of somebody else, through our own proxy. */
export interface Basemap { id: string; title: Titled; tiles: string; max_zoom: number; attribution: string; theme?: "night" | "day" }
export interface Config {
  basemaps?: Basemap[];
  product: Titled; demo: boolean; generated: Titled | null; insecure: boolean; lang: string; single_sign_on: { title: Titled } | null;
  bounds: [number, number, number, number]; center: LonLat; zoom: number; version: string; time: string;
}
export interface Photo { url: string; thumb: string; stage: string | number; at: string }
export interface Need { key: string; type: string; title: Titled; required: boolean }
export interface Action { action: string; title: Titled; need: Need[] }
export interface Event {
  id: string; num: number; code: string; title: string; category: string; category_title: Titled; description: string; severity: number;
  state: string; state_title: Titled; stage: number; point: LonLat | null; district: string | null; district_name: string | null;
  street: string | null; street_name: string | null; address: string | null; holder: string | null; holder_name: string | null;
  reporter: string | null; source: string; opened_at: string; due_at: string | null; deadline_verified: boolean; late: boolean; closed_at: string | null;
  version: number; photos: Photo[]; actions: Action[];
  doubt?: string | null; filled?: Record<string, { value: string; name?: string | null; from: string; m?: number }> | null; asked?: string | null; unplaced?: string | null;
  satisfaction?: string | null; partners?: Record<string, { id?: string; status: string; notes?: string; why?: string; at: string }> | null; area_m2?: number | null;
  shape?: GeoJSON.Geometry; camera?: string; camera_name?: string; confidence?: number; visits?: { verdict: string; note: string; at: string; by: string }[]; reviews?: { by: string; at: string; as_found: boolean }[];
}
export interface TimelineEntry {
  seq: number | null; version: number; at: string; actor: string; actor_name: Titled | string | null; action: string; title: Titled;
  from: string | null; to: string | null; state_title: Titled | null; note: string | null; photos: Photo[]; point: LonLat | null;
}
export interface Crew {
  num: number; code: string; name: string; point: LonLat; travel_s: number | null; distance_m: number | null; straight_m: number;
  load: number; skills: string[]; status: string | number; reasons: Titled[]; route: LonLat[] | null;
}
export interface Proposals { crews: Crew[]; shortfall: { code: string; title: Titled; count: number }[]; computed_ms: number }
export interface Field { key: string; title: Titled; value: unknown; text: Titled | null; unit: Titled | null; ref?: { code: string; name: string; kind: string } | null }
export interface Thing {
  id: string; num: number; kind: string; kind_title: Titled; code: string; name: string; district: string | null; district_name: string | null;
  street: string | null; street_name: string | null; state: string; point: LonLat | null; bbox: [number, number, number, number] | null;
  geometry: GeoJSON.Geometry | null; fields: Field[]; events: Event[]; position: { at: string; speed_kmh: number | null; heading_deg: number | null } | null;
  source: string; version: number; updated_at: string; generated: boolean; public: boolean;
}
export interface Version { version: number; at: string; actor: string | null; actor_name: Titled | string | null; moved: boolean; action: string; changes: { key: string; title: Titled; before: unknown; after: unknown }[] }
export interface Found { num: number | null; kind: string; kind_title: Titled; code: string; name: string; district_name: string | null; point: LonLat | null; matched: { field: string; title: Titled; value: string } | null }
export interface Category { key: string; title: Titled; service_code: string; severity: number; domain: string }
export interface Card { key: string; title: Titled; value: number | null; unit: Titled | string | null; delta: number | null; delta_base: Titled | string | null; level: "good" | "warn" | "bad" | "none"; decimals: number; target: number | null; trend: [string, number | null][]; things: string | null }
export interface Bin { from: string; to: string; opened: number; closed: number; late: number }
export interface Legend { label: Titled; color: string; token?: string; shape: string }
export interface LayerNode { id: string; title: Titled; kind: string; type: string; visible: boolean; min_zoom: number; legend: Legend[]; style_layers: string[];
  heights?: { lowest_m: number; highest_m: number; step_m: number; name: string; at: string } }
export interface LayerBranch { id: string; title: Titled; layers: string[] }
export interface LayerGroup { id: string; title: Titled; layers: LayerNode[]; databases: LayerBranch[] }
export interface LayerTree { groups: LayerGroup[] }
