/** The tour of an unattended wall: what is worst first, then the districts; it stops when somebody touches the screen. */
import { signal } from "@preact/signals";
import { alarms } from "./alarmstore";
import { flyTo, home, fitBounds } from "./mapview";
import { tourEvery_s } from "./place";
import * as s from "./store";
import { get } from "../common/api";

export const touring = signal(false);
let timer = 0;
let step = 0;
let every_s = tourEvery_s || 20;
let districts: [number, number, number, number][] = [];

async function loadDistricts(): Promise<void> {
  const got = await get<{ features: { bbox?: number[]; geometry: GeoJSON.Geometry | null }[] }>("/ogc/collections/district/items?limit=100");
  districts = got.features.flatMap((f) => (f.geometry ? [box(f.geometry)] : []));
}

function box(geometry: GeoJSON.Geometry): [number, number, number, number] {
  const flat = JSON.stringify((geometry as GeoJSON.Polygon).coordinates).match(/-?\d+(\.\d+)?/g)!.map(Number);
  const [xs, ys] = [flat.filter((_, i) => i % 2 === 0), flat.filter((_, i) => i % 2 === 1)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The city, then the worst events and alarms of now, then one district: over and over, each time with what is then worst. */
function next(): void {
  const urgent = [
    ...alarms.value.filter((a) => a.state === "rung" && a.severity <= 2 && a.point).slice(0, 2).map((a) => () => { s.openAlarm(a.code); flyTo(a.point!, 15); }),
    ...s.events.value.filter((e) => e.severity <= 2 && e.point).slice(0, 3).map((e) => () => { s.openEvent(e.id); flyTo(e.point!, 15); }),
  ];
  const round = [() => { s.closeCard(); home(); }, ...urgent, () => { s.closeCard(); const b = districts[Math.floor(step / (urgent.length + 2)) % Math.max(1, districts.length)]; if (b) fitBounds(b); }];
  round[step % round.length]!();
  step += 1;
}

export function tour(on: boolean, seconds = every_s): void {
  clearInterval(timer);
  every_s = seconds;
  touring.value = on;
  if (!on) return;
  if (!districts.length) void loadDistricts().catch(() => undefined);
  next();
  timer = window.setInterval(next, Math.max(5, every_s) * 1000);
}

export function startTour(): void {
  const stop = () => touring.value && tour(false);
  addEventListener("pointerdown", stop);
  addEventListener("keydown", stop);
  if (tourEvery_s) tour(true);
}
