/** Texts in two languages: Chinese by default, English by a switch; keys equal in both (a test holds this). */
import { signal } from "@preact/signals";
import zh from "../../locales/zh-CN.json";
import en from "../../locales/en.json";
import type { Titled } from "./types";

export type Key = keyof typeof zh;
export type Lang = "zh-CN" | "en";

export const lang = signal<Lang>("zh-CN");

export function startLang(fallback: string): void {
  const kept = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("lang") ?? fallback;
  setLang(kept === "en" ? "en" : "zh-CN", false);
}

export function setLang(next: Lang, keep = true): void {
  lang.value = next;
  document.documentElement.lang = next;
  document.title = `${t("product")}`;
  if (keep) localStorage.setItem("lang", next);
  // The server names the style of the first picture in the head of the page: it asks this.
  document.cookie = `look.lang=${next}; path=/; max-age=31536000; samesite=lax`;
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = (lang.value === "en" ? en : zh)[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** A text in both languages, where a document keeps both. */
export function both(key: Key, values: Record<string, string | number> = {}): { zh: string; en: string } {
  const said = (text: string) => text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
  return { zh: said(zh[key]), en: said(en[key]) };
}

/** The text of a `{zh, en}` title, or of a plain string. */
export function tt(title: Titled | string | null | undefined): string {
  if (!title) return "";
  return typeof title === "string" ? title : (lang.value === "en" ? title.en : title.zh) ?? title.zh ?? title.en;
}
