/** The board of a topic: figures, rankings, days, what it keeps; each opens what it counts. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon } from "../common/icon";
import { get } from "../common/api";
import { day, hm, num, span } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import type { Titled } from "../common/types";
import { Bars, Days } from "./charts";
import { fitBounds } from "./mapview";
import { Head } from "./rail";
import * as s from "./store";
import * as w from "./toolstore";

export interface Figures { open: number; urgent: number; late: number; closed: number; in_time: number; median_s: number | null }
export interface Board {
  topic: string; at: string; figures: Figures; districts: (Figures & { code: string; name: string | null })[];
  categories: { category: string; title: Titled; open: number; opened: number }[]; stages: { stage: number; n: number }[];
  days: { day: string; opened: number; closed: number }[]; kinds: { kind: string; title: Titled; icon: string | null; topic: string; n: number; freshest: string | null }[];
}
export const TOPICS = ["all", "greening", "forestry", "sanitation", "appearance", "landscape"] as const;
const ICONS: Record<string, string> = { all: "layout-dashboard", greening: "trees", forestry: "tree-pine", sanitation: "recycle", appearance: "store", landscape: "lightbulb" };

export const board = signal<Board | null>(null);

export async function loadBoard(): Promise<void> {
  const topic = s.topic.value || "all";
  const at = s.moment.value === null ? "" : `?at=${encodeURIComponent(new Date(s.moment.value).toISOString())}`;
  const got = await get<Board>(`/api/v1/boards/${topic}${at}`);
  if (topic === (s.topic.value || "all")) board.value = got;
}

/** Show the layers of a topic and hide those of the others; all shows what the tree shows at the start. */
export function showTopic(topic: string): void {
  s.topic.value = topic === "all" ? "" : topic;
  const groups = s.tree.value.groups;
  const hide = groups.flatMap((g) => g.layers.filter((l) => (topic === "all" || g.id === "live" || g.id === "base" ? !l.visible : g.id !== topic)).map((l) => l.id));
  s.hidden.value = new Set(hide);
}

export function TopicTabs() {
  const now = s.topic.value || "all";
  return (
    <div class="topics" role="tablist" aria-label={t("rail.topic")}>
      {TOPICS.map((one) => <button role="tab" aria-selected={now === one} class={now === one ? "on" : ""} data-topic={one} onClick={() => showTopic(one)}><span style={{ color: one === "all" ? undefined : `var(--${one})` }}><Icon name={ICONS[one]!} size={18} /></span>{t(`topic.${one}` as Key)}</button>)}
    </div>
  );
}

export function share(f: Figures): number | null {
  return f.closed ? Math.round((f.in_time / f.closed) * 1000) / 10 : null;
}

export function Tiles({ f }: { f: Figures }) {
  const rate = share(f);
  const open = (filter: s.Filter) => () => { s.filter.value = filter; s.viewOnly.value = false; };
  const tiles: [Key, string, string, string, () => void][] = [
    ["board.open", num(f.open), "", f.urgent ? t("board.urgent", { n: num(f.urgent) }) : "", open("open")],
    ["board.late", num(f.late), f.late ? "bad" : "good", "", open("late")],
    ["board.rate", rate === null ? "—" : `${num(rate)}%`, rate === null ? "" : rate >= 95 ? "good" : rate >= 85 ? "warn" : "bad", t("board.closed", { n: num(f.closed) }), open("closed")],
    ["board.median", f.median_s === null ? "—" : span(f.median_s), "", t("board.days30"), open("closed")],
  ];
  return <div class="tiles">{tiles.map(([key, value, level, note, run]) => <button class={level} data-tile={key} onClick={run}><span class="name small">{t(key)}</span><span class="value">{value}</span><span class="muted small">{note}</span></button>)}</div>;
}

function pickKind(kind: string): void {
  const next = new Set(s.hidden.value);
  next.delete(kind);
  s.hidden.value = next;
  w.chosenKinds.value = [kind];
  s.panel.value = "select";
}

export function BoardBody({ b }: { b: Board }) {
  const districts = b.districts.filter((d) => d.code).slice(0, 16).map((d) => ({ key: d.code, label: d.name ?? d.code, value: d.open, part: d.late, note: share(d) === null ? "" : `${num(share(d)!)}%` }));
  return (
    <>
      <Tiles f={b.figures} />
      <h3>{t("board.stages")}</h3>
      <ol class="funnel">{b.stages.map((one) => <li><b>{num(one.n)}</b><span class="small muted">{t(`stage.${one.stage}` as Key)}</span></li>)}</ol>
      <h3>{t("board.days")}<span class="key small muted"><i class="opened" />{t("time.opened")}<i class="closed" />{t("time.closed")}</span></h3>
      <Days days={b.days} label={(d) => day(d)} />
      <h3>{t("board.districts")}<span class="muted small">{t("board.districts.key")}</span></h3>
      {districts.length ? <Bars bars={districts} pick={goDistrict} /> : <p class="muted small">{t("events.none")}</p>}
      <h3>{t("board.categories")}<span class="muted small">{t("board.days30")}</span></h3>
      <Bars bars={b.categories.map((c) => ({ key: c.category, label: tt(c.title), value: c.opened, part: c.open }))} />
      <h3>{t("board.kinds")}</h3>
      <Bars bars={b.kinds.slice(0, 14).map((k) => ({ key: k.kind, label: tt(k.title), value: k.n }))} pick={pickKind} />
      <p class="muted small of">{t("cards.of", { t: hm(b.at) })}</p>
    </>
  );
}

/** A district in the ranking opens its thing, with its place on the map. */
function goDistrict(code: string): void {
  void s.openThing(code).then(() => s.thing.value?.bbox && fitBounds(s.thing.value.bbox));
}

export function TopicPanel() {
  useEffect(() => { loadBoard().catch((why: Error) => s.tell(why.message)); }, [s.topic.value, s.settled.value, Math.floor(s.clock.value / 30_000)]);
  const b = board.value;
  return (
    <>
      <Head title={t("rail.topic")} />
      <TopicTabs />
      {b && <div class="scroll pad"><BoardBody b={b} /></div>}
    </>
  );
}
