/** Numbers, distances and times as a person reads them. */
import { lang, t, tt } from "./i18n";
import type { Event } from "./types";

const locale = () => (lang.value === "en" ? "en-GB" : "zh-CN");

// The city's time, wherever the screen stands: a wall and a phone must say the same hour.
export const ZONE = "Asia/Shanghai";
// Asia/Shanghai has had no summer time since 1991.
export const ZONE_OFFSET_MS = 8 * 3600e3;

export function num(value: number, digits = 1): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: Number.isInteger(value) ? 0 : digits });
}

export function km(metres: number): string {
  return metres < 950 ? `${Math.round(metres / 10) * 10} ${t("unit.m")}` : `${num(metres / 1000)} ${t("unit.km")}`;
}

/** A span of seconds in at most two units: 2 小时 5 分. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("span.s", { n: s });
  const m = Math.round(s / 60);
  if (m < 60) return t("span.m", { n: m });
  if (m < 1440) return m % 60 ? t("span.hm", { h: Math.floor(m / 60), m: m % 60 }) : t("span.h", { h: m / 60 });
  const h = Math.round(m / 60);
  return h % 24 ? t("span.dh", { d: Math.floor(h / 24), h: h % 24 }) : t("span.d", { d: h / 24 });
}

export function hm(at: string | number | Date): string {
  return new Date(at).toLocaleTimeString("sv-SE", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" });
}

export function hms(at: string | number | Date): string {
  return new Date(at).toLocaleTimeString("sv-SE", { timeZone: ZONE });
}

export function day(at: string | number | Date): string {
  return new Date(at).toLocaleDateString(locale(), lang.value === "en" ? { timeZone: ZONE, day: "numeric", month: "short" } : { timeZone: ZONE, month: "numeric", day: "numeric" });
}

export function fullDay(at: string | number | Date): string {
  return new Date(at).toLocaleDateString(locale(), { timeZone: ZONE, year: "numeric", month: lang.value === "en" ? "short" : "long", day: "numeric", weekday: "short" });
}

/** `14:05` for today, `11月20日 14:05` for another day. */
export function when(at: string | number | Date, now = Date.now()): string {
  const same = new Date(at).toLocaleDateString("sv-SE", { timeZone: ZONE }) === new Date(now).toLocaleDateString("sv-SE", { timeZone: ZONE });
  return same ? hm(at) : `${day(at)} ${hm(at)}`;
}

/** What an event is called: its category in the reader's language unless somebody gave it a title of its own. */
export function called(ev: Event): string {
  return !ev.title || ev.title === ev.category_title?.zh ? tt(ev.category_title) || ev.title : ev.title;
}

const STAMP = new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE, dateStyle: "short", timeStyle: "short" });

/** A moment in full: 2026-11-21 18:05. */
export function stamp(at: string | number | Date): string {
  return STAMP.format(new Date(at));
}
