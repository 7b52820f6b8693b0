/** The doors of loads, and the shapes that they answer with. */
import { get, post, Problem } from "../../common/api";
import type { Titled } from "../../common/types";

export interface Kind { kind: string; title: Titled; topic: string; geometry: string; databases: string[]; icon: string | null }
export interface Kinds { kinds: Kind[]; databases: Record<string, { title: Titled; topic: string }> }
export interface Described {
  upload: string; file: string; bytes: number; format: string; encoding: string | null; layers: string[]; layer: string | null;
  crs: string | null; total: number | null; notes: string[]; geometry: string | null; columns: string[];
  sample: Record<string, string | null>[]; kinds: { kind: string; title: Titled; hits: number; share: number }[];
}
export interface Target { name: string; title: Titled; type: string; unit?: string | null; required?: boolean; codes?: Record<string, Titled | string> | null; note?: Titled | string | null; min?: number | null; max?: number | null }
export interface Guess { name: string; samples: string[]; filled: number; target: string | null; score: number; why: string; ambiguous: boolean; others: { target: string; score: number; why: string }[] }
export interface Suggested {
  columns: Guess[]; mapping: Record<string, string>; key: string | null; x: string | null; y: string | null; wkt: string | null;
  source: string; shapes: boolean; crs: string; fields: Target[]; remembered: boolean; geometry: string; layer: string | null;
}
export interface Asked { kind: string; mapping: Record<string, string>; key: string | null; crs: string; encoding: string; layer: string | null; x: string | null; y: string | null; source: string }
export interface Row { row: number; reason: string; given: Record<string, string | null>; geometry: GeoJSON.Geometry | null }
export interface Change { code: string; name: string; changes: Record<string, [unknown, unknown]> }
export interface Result {
  kind: string; read: number; inserted: number; updated: number; unchanged: number; repaired: number; quarantined: number; seconds: number;
  crs: string; dry_run: boolean; notes: string[]; reasons: Record<string, number>; diff: Change[]; refused: Row[]; mended: Row[];
  loads: number[]; has_quarantine: boolean;
}
export interface Job { job: number; state: "waiting" | "running" | "done" | "failed"; progress: number | null; result: Result | null; error: string | null }
export interface Past { id: number; at: string; kind: string; kind_title: Titled; source: string; file: string | null; actor: string; counts: Record<string, number>; undone_at: string | null; undone_by: string | null }

const PART = 4 * 1024 * 1024;
const TRIES = 4;
const root = "/api/v1/loads";

async function send(path: string, method: string, headers: Record<string, string>, body?: Blob): Promise<{ upload: string; offset: number }> {
  const answer = await fetch(path, { method, headers, body });
  const said = (await answer.json().catch(() => ({}))) as { upload: string; offset: number; code?: string; detail?: string };
  // A part that came twice or not at all: the server names where to go on.
  if (answer.status === 409 && typeof said.offset === "number") return said;
  if (!answer.ok) throw new Problem(answer.status, said.code ?? "", said.detail ?? answer.statusText);
  return said;
}

/** Send a file in parts; a part that is lost is sent again. */
export async function sendFile(file: File, told: (share: number) => void): Promise<string> {
  const { upload } = await send(`${root}?name=${encodeURIComponent(file.name)}&bytes=${file.size}`, "POST", {});
  let offset = 0;
  let failed = 0;
  while (offset < file.size) {
    try {
      const part = file.slice(offset, offset + PART);
      offset = (await send(`${root}/${upload}`, "PATCH", { "Upload-Offset": String(offset), "Content-Type": "application/octet-stream" }, part)).offset;
      failed = 0;
    } catch (why) {
      if (why instanceof Problem || ++failed >= TRIES) throw why;
      await new Promise((done) => setTimeout(done, 500 * 2 ** failed));
    }
    told(offset / file.size);
  }
  return upload;
}

export const kinds = () => get<Kinds>(`${root}/kinds`);
export const describe = (upload: string, layer: string | null, encoding: string) =>
  get<Described>(`${root}/${upload}?encoding=${encodeURIComponent(encoding)}${layer ? `&layer=${encodeURIComponent(layer)}` : ""}`);
export const suggest = (upload: string, said: { kind: string; layer: string | null; encoding: string; source: string | null }) => post<Suggested>(`${root}/${upload}/suggest`, said);
export const check = (upload: string, asked: Asked) => post<{ result?: Result; job?: number }>(`${root}/${upload}/check`, asked);
export const correct = (upload: string, rows: Record<number, Record<string, string | null>>) => post<{ rows: number }>(`${root}/${upload}/corrections`, { rows });
export const commit = (upload: string, asked: Asked) => post<{ job: number }>(`${root}/${upload}/commit`, asked);
export const past = (next: string | null) => get<{ loads: Past[]; next: string | null }>(next ?? `${root}?limit=50`);
export const undo = (load: number) => post<unknown>(`${root}/${load}/undo`, {});

/** Follow a job until it ends. */
export async function follow(job: number, told: (share: number) => void): Promise<Result> {
  for (;;) {
    const now = await get<Job>(`${root}/jobs/${job}`);
    told(now.progress ?? 0);
    if (now.state === "done" && now.result) return now.result;
    if (now.state === "failed") throw new Error(now.error ?? "");
    await new Promise((done) => setTimeout(done, 400));
  }
}
