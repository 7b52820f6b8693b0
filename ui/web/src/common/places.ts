/** Names of districts, streets and waters in English, read once, and only where English is shown. */
import { signal } from "@preact/signals";
import { get } from "./api";
import { lang } from "./i18n";

interface Named { features: { properties: { name: string; name_en?: string } }[] }

const english = signal<ReadonlyMap<string, string>>(new Map());
let asked = false;

async function read(): Promise<void> {
  const got = await get<Named>("/layers/places.geojson");
  english.value = new Map(got.features.flatMap(({ properties: p }) => (p.name_en ? [[p.name, p.name_en] as const] : [])));
}

/** The name of a place in the language that is shown; a place without an English name keeps its own. */
export function placed(name: string | null | undefined): string | null {
  if (!name || lang.value !== "en") return name ?? null;
  if (!asked) {
    asked = true;
    read().catch(() => (asked = false));
  }
  return english.value.get(name) ?? name;
}
