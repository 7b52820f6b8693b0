/** What the page of people and places has read, and how it asks again. */
import { signal } from "@preact/signals";
import { get } from "../../common/api";
import type { Key, Person, Place, PlaceType, Role } from "./types";

export const places = signal<Place[]>([]);
export const parents = signal<Record<PlaceType, PlaceType[]>>({} as never);
export const people = signal<Person[]>([]);
export const roles = signal<Role[]>([]);
export const keys = signal<Key[]>([]);
export const keyActs = signal<string[]>([]);
export const chosen = signal<string>("");

export async function read(): Promise<void> {
  const [tree, persons, declared, issued] = await Promise.all([
    get<{ organisations: Place[]; parents: Record<PlaceType, PlaceType[]> }>("/api/v1/organisations"),
    get<{ accounts: Person[] }>("/api/v1/accounts"),
    get<{ roles: Role[] }>("/api/v1/roles"),
    get<{ keys: Key[]; acts: string[] }>("/api/v1/keys"),
  ]);
  [places.value, parents.value, people.value, roles.value, keys.value, keyActs.value] =
    [tree.organisations, tree.parents, persons.accounts, declared.roles, issued.keys, issued.acts];
}

export const place = (code: string | null): Place | undefined => places.value.find((p) => p.code === code);
const ORDER: PlaceType[] = ["city", "district", "unit", "street", "grid", "village", "contractor"];
export const children = (code: string | null): Place[] =>
  places.value.filter((p) => p.parent === code).sort((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type) || a.code.localeCompare(b.code));

/** A place and all that stand under it. */
export function under(code: string): Set<string> {
  const found = new Set([code]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const p of places.value) if (p.parent && found.has(p.parent)) found.add(p.code);
  }
  return found;
}
