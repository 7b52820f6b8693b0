/** What all pages of the console share: who looks, where they are, and what was last said to them. */
import { signal } from "@preact/signals";
import type { Config, Session } from "../common/types";

export const session = signal<Session>(null as never);
export const config = signal<Config>(null as never);
export const notice = signal<{ text: string; bad: boolean } | null>(null);
/** The path below /console, its first part names the page: `data/loads/17`. */
export const path = signal<string>(here());

function here(): string {
  const said = location.pathname.replace(/^\/console\/?/, "").replace(/\/$/, "");
  return said;
}

/** Go to a path below /console. */
export function go(next: string): void {
  if (next === path.value) return;
  history.pushState(null, "", `/console/${next}`);
  path.value = next;
}

addEventListener("popstate", () => (path.value = here()));

let timer = 0;
export function tell(text: string, bad = false): void {
  notice.value = { text, bad };
  clearTimeout(timer);
  timer = window.setTimeout(() => (notice.value = null), bad ? 12_000 : 5_000);
}
