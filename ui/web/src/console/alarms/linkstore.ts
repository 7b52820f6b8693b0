/** Linkages as the page knows them, and what their forms choose from. */
import { signal } from "@preact/signals";
import { get, post } from "../../common/api";
import type { Titled } from "../../common/types";
import type { Product } from "../devices/types";
import * as s from "../state";
import type { LinkDoc, Linkage, Run } from "./linktypes";

export const linkages = signal<Linkage[] | null>(null);
export const mayWrite = signal(false);
export const mayRun = signal(false);
export const runs = signal<Run[]>([]);
export const products = signal<Product[]>([]);
export const ruleTitles = signal<Map<string, Titled>>(new Map());
export const groups = signal<{ key: string; title: Titled }[]>([]);
export const categories = signal<{ key: string; title: Titled }[]>([]);

export async function readLinkages(): Promise<void> {
  const got = await get<{ linkages: Linkage[]; may_write: boolean; may_run: boolean }>("/api/v1/linkages");
  linkages.value = got.linkages;
  mayWrite.value = got.may_write;
  mayRun.value = got.may_run;
}

export async function readRuns(key: string): Promise<void> {
  runs.value = (await get<{ runs: Run[] }>(`/api/v1/linkages/runs?limit=50${key ? `&key=${encodeURIComponent(key)}` : ""}`)).runs;
}

export async function readChoices(): Promise<void> {
  if (products.value.length) return;
  const [p, r, policies, c] = await Promise.all([
    get<{ products: Product[] }>("/api/v1/products"), get<{ rules: { key: string; title: Titled }[] }>("/api/v1/rules"),
    get<{ kind: string; key: string; title: Titled }[]>("/api/v1/policies").catch(() => []), get<{ key: string; title: Titled }[]>("/api/v1/categories"),
  ]);
  products.value = p.products;
  ruleTitles.value = new Map(r.rules.map((x) => [x.key, x.title]));
  groups.value = policies.filter((x) => x.kind === "group");
  categories.value = c;
}

const base = (key: string) => `/api/v1/policies/linkage/${encodeURIComponent(key)}`;
export const check = (document: LinkDoc): Promise<{ faults: { path: (string | number)[]; why: string }[] }> => post(`${base(document.key || "new")}/check`, { document });
export const attempt = (document: LinkDoc, days: number): Promise<{ read: number; changed: number; moved: { title: string; from: string; to: string }[] }> => post(`${base(document.key)}/simulate`, { document, days });
export const publish = (document: LinkDoc, note: string): Promise<{ version: number; changed: boolean }> => post(`${base(document.key)}/publish`, { document, note });

export async function runNow(key: string): Promise<string> {
  const done = await post<{ state: string; run: Run }>(`/api/v1/linkages/${encodeURIComponent(key)}/run`, {});
  await Promise.all([readLinkages(), readRuns(key)]);
  return done.state === "done" ? "" : (done.run.fault ?? done.state);
}

export const failed = (why: Error): void => s.tell(why.message, true);
