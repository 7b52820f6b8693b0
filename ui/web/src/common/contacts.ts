/** The address book as pages read it: people, groups, shifts; a telephone number is asked for one by one. */
import { get, post } from "./api";
import type { Titled } from "./types";

export interface Contact { id: string; version: number; name: string; post: string; unit: string; district: string | null; account: string | null; phone: string; has_phone: boolean; duty: { post: string; until: string } | null }
export interface Book { contacts: Contact[]; total: number; units: { unit: string; n: number }[]; may_write: boolean; may_reveal: boolean }
export interface Member { key: string; user: string | null; contact: string | null; name: Titled; post: string; unit: string; duty: { post: string; until: string } | null }
export interface Group { key: string; title: Titled; on_duty: boolean; verified: boolean; members: Member[] }
export interface Shift { id: number; contact: string; name: string; unit: string; post: string; starts_at: string; ends_at: string; now: boolean }

export interface Asked { q: string; group: string; onDuty: boolean; unit?: string }

export function readBook(asked: Asked, limit = 300): Promise<Book> {
  const said = new URLSearchParams({ limit: String(limit) });
  if (asked.q.trim()) said.set("q", asked.q.trim().slice(0, 64));
  if (asked.group) said.set("group", asked.group);
  if (asked.unit) said.set("unit", asked.unit);
  if (asked.onDuty) said.set("on_duty", "true");
  return get<Book>(`/api/v1/contacts?${said}`);
}

export const readGroups = () => get<{ groups: Group[] }>("/api/v1/groups").then((g) => g.groups);
export const reveal = (id: string) => post<{ phone: string }>(`/api/v1/contacts/${id}/reveal`, {}).then((r) => r.phone);
