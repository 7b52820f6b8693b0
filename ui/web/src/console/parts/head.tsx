/** The head of a page: what it is, what it is for, and what can be done here. */
import type { ComponentChildren } from "preact";

export function Head({ title, about, children }: { title: string; about?: string; children?: ComponentChildren }) {
  return (
    <header class="head">
      <div class="grow"><h1>{title}</h1>{about && <p class="muted">{about}</p>}</div>
      {children && <div class="acts">{children}</div>}
    </header>
  );
}
