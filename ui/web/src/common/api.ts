/** The API door: same-origin requests, problem+json made into one error with a code. */
export class Problem extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly reason?: string) {
    super(message);
  }
}

export function uuid(): string {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

async function answer(response: Response): Promise<unknown> {
  if (response.ok) return response.status === 204 ? null : response.json();
  const said = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; title?: string; reason?: string; rule?: string };
  throw new Problem(response.status, said.code ?? `http_${response.status}`, said.detail ?? said.title ?? response.statusText, said.reason ?? said.rule);
}

export async function get<T>(path: string): Promise<T> {
  return (await answer(await fetch(path, { headers: { Accept: "application/json" } }))) as T;
}

export async function post<T>(path: string, body: unknown, key = uuid()): Promise<T> {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "Idempotency-Key": key };
  return (await answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }))) as T;
}

/** A change by PUT, PATCH or DELETE. */
export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers = { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  return (await answer(await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }))) as T;
}

export async function upload(blob: Blob): Promise<{ url: string; hash: string }> {
  return (await answer(await fetch("/api/v1/files", { method: "POST", headers: { "Content-Type": blob.type }, body: blob }))) as { url: string; hash: string };
}

export async function signOut(): Promise<void> {
  await fetch("/api/v1/session", { method: "DELETE" }).catch(() => undefined);
  location.href = "/login";
}

/** The session, or the log-in page. */
export async function mustSession<T>(): Promise<T> {
  try {
    return await get<T>("/api/v1/session");
  } catch (why) {
    if (why instanceof Problem && (why.status === 401 || why.status === 403)) {
      location.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      return new Promise(() => undefined);
    }
    throw why;
  }
}
