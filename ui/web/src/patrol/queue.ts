/** The offline queue: what the crew did is kept in IndexedDB with its idempotency key until the server has answered. */
import { signal } from "@preact/signals";
import { post, Problem, upload, uuid } from "../common/api";
import type { Event } from "../common/types";

export interface Job {
  key: string;
  event: string;
  code: string;
  action: string;
  version: number;
  params: Record<string, unknown>;
  photos: Blob[];
  at: number;
  refused: string | null;
}

export const jobs = signal<Job[]>([]);
export const sending = signal(false);

const opened = new Promise<IDBDatabase>((ok, fail) => {
  const ask = indexedDB.open("patrol", 1);
  ask.onupgradeneeded = () => {
    ask.result.createObjectStore("jobs", { keyPath: "key" });
    ask.result.createObjectStore("kept");
  };
  ask.onsuccess = () => ok(ask.result);
  ask.onerror = () => fail(ask.error);
});

async function run<T>(store: string, mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await opened;
  return new Promise((ok, fail) => {
    const deal = db.transaction(store, mode);
    const ask = work(deal.objectStore(store));
    // Only a finished transaction is on the disk; the request alone is not.
    deal.oncomplete = () => ok(ask.result);
    deal.onerror = deal.onabort = () => fail(deal.error);
  });
}

export const keep = (name: string, value: unknown): Promise<unknown> => run("kept", "readwrite", (s) => s.put(value, name));
export const kept = <T>(name: string): Promise<T | undefined> => run<T>("kept", "readonly", (s) => s.get(name) as IDBRequest<T>);

export async function load(): Promise<void> {
  jobs.value = (await run<Job[]>("jobs", "readonly", (s) => s.getAll())).sort((a, b) => a.at - b.at);
}

export async function add(event: Event, action: string, params: Record<string, unknown>, photos: Blob[]): Promise<void> {
  const job: Job = { key: uuid(), event: event.id, code: event.code, action, version: event.version, params, photos, at: Date.now(), refused: null };
  await run("jobs", "readwrite", (s) => s.put(job));
  await load();
}

export async function discard(key: string): Promise<void> {
  await run("jobs", "readwrite", (s) => s.delete(key));
  await load();
}

/** Send one job. A second try with the same key is the same deed for the server. */
async function send(job: Job, versions: Map<string, number>): Promise<Event> {
  const params = { ...job.params };
  if (job.photos.length) params.photos = (await Promise.all(job.photos.map(upload))).map((f) => f.url);
  // A job queued behind another of the same event follows on the version which that one made.
  return post<Event>(`/api/v1/events/${job.event}/actions/${job.action}`, { version: versions.get(job.event) ?? job.version, ...params }, job.key);
}

let busy: Promise<void> | null = null;

/** Send what waits, in order; stops at the first job that the network does not carry. */
export function flush(done: (event: Event) => void): Promise<void> {
  busy ??= drain(done).finally(() => (busy = null));
  return busy;
}

async function drain(done: (event: Event) => void): Promise<void> {
  await load();
  const versions = new Map<string, number>();
  sending.value = jobs.value.some((j) => !j.refused);
  for (const job of jobs.value) {
    if (job.refused) continue;
    try {
      const event = await send(job, versions);
      versions.set(event.id, event.version);
      await discard(job.key);
      done(event);
    } catch (why) {
      if (!(why instanceof Problem) || why.status >= 500 || why.status === 429 || why.status === 401) break;
      // The server has said no, so trying again cannot help: the crew must see it and decide.
      await run("jobs", "readwrite", (s) => s.put({ ...job, refused: why.message }));
      await load();
    }
  }
  sending.value = false;
}
