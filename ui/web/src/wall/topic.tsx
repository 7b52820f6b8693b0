/** The board of a topic at the wall's side: each figure opens its list, each district its place, each kind its things. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../common/api";
import { BoardBody, BoardTabs, layoutOf, readBoard, readIndicators, readLayouts, type Board, type BoardHooks, type IndicatorBoard, type Layout } from "../common/board";
import { t } from "../common/i18n";
import type { LonLat } from "../common/types";
import { fitBounds } from "./mapview";
import { Head } from "./rail";
import { setSideTab } from "./side";
import * as s from "./store";
import * as w from "./toolstore";

export const board = signal<Board | null>(null);
export const indicators = signal<IndicatorBoard | null>(null);

/** The boards as they are composed; read anew when somebody publishes one. */
export const layouts = signal<Layout[]>([]);
export const layout = (): Layout | undefined => layoutOf(layouts.value, s.topic.value);

export async function loadLayouts(): Promise<void> {
  layouts.value = await readLayouts();
}

export async function loadBoard(): Promise<void> {
  if (!layouts.value.length) await loadLayouts();
  const chosen = layout();
  if (!chosen) return;
  const still = () => chosen === layout();
  const declared = readIndicators(chosen, s.moment.value).then((got) => { if (still()) indicators.value = got; });
  const got = await readBoard(chosen.topic, s.moment.value);
  if (still()) board.value = got;
  await declared;
}

/** Show the layers of a board's topic and hide those of the others; boards over all show what the tree shows at the start. */
export function showTopic(key: string): void {
  s.topic.value = key === "all" ? "" : key;
  const groups = s.tree.value.groups;
  const topic = layouts.value.find((one) => one.key === key)?.topic ?? key;
  const whole = !groups.some((g) => g.id === topic);
  const hide = groups.flatMap((g) => g.layers.filter((l) => (whole || g.id === "live" || g.id === "base" ? !l.visible : g.id !== topic)).map((l) => l.id));
  s.hidden.value = new Set(hide);
}

export function TopicTabs() {
  return <BoardTabs list={layouts.value} now={s.topic.value || "all"} pick={showTopic} />;
}

/** A district in a ranking opens its thing, with its place on the map. */
export function goDistrict(code: string): void {
  get<{ features: { properties: { code: string } }[] }>(`/ogc/collections/district/items?code=${encodeURIComponent(code)}&limit=1`).then(async (got) => {
    await s.openThing(got.features[0]?.properties.code ?? code);
    if (s.thing.value?.bbox) fitBounds(s.thing.value.bbox);
  }, (why: Error) => s.tell(why.message));
}

function pickKind(kind: string): void {
  const next = new Set(s.hidden.value);
  next.delete(kind);
  s.hidden.value = next;
  w.chosenKinds.value = [kind];
  s.panel.value = "select";
}

/** The things behind a number, on the map. */
export async function showThings(things: string): Promise<void> {
  const got = await get<{ total: number; things: { code: string; name: string; kind: string; num?: number; lon: number | null; lat: number | null }[] }>(things);
  const placed = got.things.filter((x) => x.lon !== null);
  w.found.value = { total: got.total, things: placed.map((x, i) => ({ num: x.num ?? -1 - i, kind: x.kind, code: x.code, name: x.name, district_name: null, point: [x.lon!, x.lat!] as LonLat })) };
  if (!placed.length) return s.tell(t("board.things", { n: got.total }));
  const [xs, ys] = [placed.map((x) => x.lon!), placed.map((x) => x.lat!)];
  fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]);
  s.tell(t("board.things", { n: got.total }));
}

export const HOOKS: BoardHooks = {
  open: (list) => { s.filter.value = list; s.viewOnly.value = false; setSideTab("events"); },
  district: goDistrict, kind: pickKind, activity: (one) => { const d = one.radius_m / 90_000; fitBounds([one.lon - d, one.lat - d * 0.86, one.lon + d, one.lat + d * 0.86]); }, indicator: (one) => void showThings(one.things!).catch((why: Error) => s.tell(why.message)),
};

export function TopicPanel() {
  useEffect(() => { loadBoard().catch((why: Error) => s.tell(why.message)); }, [s.topic.value, s.settled.value, layouts.value, Math.floor(s.clock.value / 30_000)]);
  const b = board.value;
  const made = layout();
  return (
    <>
      <Head title={t("rail.topic")} />
      <TopicTabs />
      {made && <div class="scroll pad"><BoardBody b={b} layout={made} indicators={indicators.value} hooks={HOOKS} /></div>}
    </>
  );
}
