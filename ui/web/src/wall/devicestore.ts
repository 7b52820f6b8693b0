/** Devices on the wall: which products are shown, by what they are coloured, and the field of one value. */
import { effect, signal } from "@preact/signals";
import { get } from "../common/api";
import type { Titled } from "../common/types";
import { deviceLayers, fieldLayers, type DeviceAnswer, type DeviceBy, type DeviceField, type TwinMap } from "../mapkit";
import { reads, said } from "../common/devicelegend";
import { theme } from "../common/theme";
import * as s from "./store";

export interface DeviceProperty { name: string; title: Titled; type: string; unit: Titled | null }
export interface DeviceProduct { key: string; title: Titled; icon: string; category: string; main: string | null; devices: number; properties: DeviceProperty[] }
export interface Shown { product: string; property: string }
export type FieldMode = "lines" | "heat";

/** More layers at once than this tell nobody anything. */
export const MOST = 6;
const EVERY_MS = 5000;
const KEY = "wall.devices";

export const products = signal<DeviceProduct[]>([]);
export const silent = signal<Map<string, number>>(new Map());
export const chosen = signal<Shown[]>(JSON.parse(localStorage.getItem(KEY) ?? "[]") as Shown[]);
export const by = signal<DeviceBy>("value");
/** The product whose value is shown as a field, and how. */
export const field = signal<{ product: string; mode: FieldMode } | null>(null);
export const answers = signal<Map<string, DeviceAnswer>>(new Map());
export const surface = signal<DeviceField | null>(null);
export const surfaceWhy = signal("");

interface Standing { product: string; silent: number }

export async function loadProducts(): Promise<void> {
  const [found, figures] = await Promise.all([get<{ products: DeviceProduct[] }>("/api/v1/products"), get<{ products: Standing[] }>("/api/v1/devices/statistics?hours=1")]);
  products.value = found.products.filter((p) => p.devices > 0);
  silent.value = new Map(figures.products.map((p) => [p.product, p.silent]));
}

export function toggle(product: DeviceProduct): void {
  const on = chosen.value.some((c) => c.product === product.key);
  if (on) {
    chosen.value = chosen.value.filter((c) => c.product !== product.key);
    if (field.value?.product === product.key) field.value = null;
  } else {
    const main = product.main ?? product.properties.find((p) => p.type !== "text")?.name;
    if (main) chosen.value = [...chosen.value, { product: product.key, property: main }].slice(-MOST);
  }
}

export function look(product: string, property: string): void {
  chosen.value = chosen.value.map((c) => (c.product === product ? { product, property } : c));
}

const at = (): string => (s.moment.value === null ? "" : `&at=${encodeURIComponent(new Date(s.moment.value).toISOString())}`);

let busy = false;
let again = false;
/** Ask for everything that is shown at the moment that is shown; whatever changes meanwhile is asked for once more. */
async function load(): Promise<void> {
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const list = chosen.peek();
      const found = await Promise.all(list.map(async (c) => [c.product, await get<DeviceAnswer>(`/api/v1/devices/map?product=${c.product}&property=${c.property}${at()}`)] as const));
      if (again) continue;
      answers.value = new Map(found);
      await loadField();
    } while (again);
  } catch (why) {
    s.tell((why as Error).message);
  } finally {
    busy = false;
  }
}

async function loadField(): Promise<void> {
  const asked = field.peek();
  const of = chosen.peek().find((c) => c.product === asked?.product);
  if (!asked || !of) { surface.value = null; return; }
  try {
    surface.value = await get<DeviceField>(`/api/v1/devices/surface.geojson?product=${of.product}&property=${of.property}&bands=${asked.mode === "heat" ? 24 : 7}${at()}`);
    surfaceWhy.value = "";
  } catch (why) {
    surface.value = null;
    surfaceWhy.value = (why as Error).message;
  }
}

/** The layers under the mouse that are devices. */
export const devicePicks = (): string[] => chosen.peek().flatMap((c) => [`devices-${c.product}-dots`, `devices-${c.product}-loud-ground`]);

export function startDevices(twin: TwinMap): void {
  const zoom = signal(twin.map.getZoom());
  twin.map.on("zoomend", () => (zoom.value = Math.round(twin.map.getZoom() * 2) / 2));
  effect(() => {
    localStorage.setItem(KEY, JSON.stringify(chosen.value));
    void [s.moment.value, field.value];
    if (chosen.value.length || answers.peek().size) void load();
  });
  effect(() => {
    const layers = chosen.value.flatMap(({ product }) => {
      const answer = answers.value.get(product);
      if (!answer) return [];
      return deviceLayers(answer, { id: `devices-${product}`, by: by.value, theme: theme.value, zoom: zoom.value, reads: (p) => reads(p, by.value, answer.property) });
    });
    twin.setGroup("devices", layers);
  });
  effect(() => {
    const meta = field.value ? answers.value.get(field.value.product)?.property : null;
    const found = surface.value;
    twin.setGroup("field", found && field.value && meta ? fieldLayers(found, { id: "field", theme: theme.value, lines: field.value.mode === "lines", text: (v) => said(v, meta) }) : []);
  });
  setInterval(() => {
    if (s.moment.value === null && chosen.value.length && document.visibilityState === "visible") void load();
  }, EVERY_MS);
}
