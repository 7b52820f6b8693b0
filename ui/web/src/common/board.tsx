/** The board of a topic, for the wall and for a leader's phone: figures, stages, days, rankings, indicators with targets. */
import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { Cards } from "./boardcards";
import { Bars, Days, Spark } from "./charts";
import { day, hm, km, num, span } from "./format";
import { t, tt, type Key } from "./i18n";
import { Icon } from "./icon";
import type { Titled } from "./types";
import { placed } from "./places";

export interface Figures { open: number; urgent: number; late: number; closed: number; in_time: number; median_s: number | null }
export interface Board {
  topic: string; at: string; figures: Figures; districts: (Figures & { code: string; name: string | null })[];
  categories: { category: string; title: Titled; open: number; opened: number }[]; stages: { stage: number; n: number }[];
  days: { day: string; opened: number; closed: number }[]; kinds: { kind: string; title: Titled; icon: string | null; topic: string; n: number; freshest: string | null }[];
  activities?: Activity[];
}
export interface Activity { key: string; title: Titled; lon: number; lat: number; radius_m: number }
export interface Indicator {
  key: string; title: Titled; group: string; unit: Titled | null; value: number | null; decimals?: number; target: number | null; warn?: number | null; better?: "up" | "down" | null; level: "good" | "warn" | "bad" | "none"; delta: number | null;
  delta_base: Titled | string | null; trend: [string, number | null][]; at: string; things: string | null;
}
export interface IndicatorBoard { topic: string; groups: { key: string; title: Titled }[]; indicators: Indicator[] }

export type Part = "activities" | "figures" | "cards" | "stages" | "days" | "indicators" | "districts" | "categories" | "kinds";
export const PARTS: Part[] = ["activities", "figures", "cards", "stages", "days", "indicators", "districts", "categories", "kinds"];
export interface CardSaid { indicator: string; title?: Titled; look?: "number" | "trend" | "ranking"; thresholds?: boolean; wide?: boolean }
/** A board as it is composed: cards and sections in order. */
export interface Layout { key: string; title: Titled; topic: string; icon?: string; cards: CardSaid[]; parts: Part[] }

export const readLayouts = async (): Promise<Layout[]> => (await get<{ boards: Layout[] }>("/api/v1/boards")).boards;
/** The way back when a board was taken away: the first, which is of all. */
export const layoutOf = (list: Layout[], key: string): Layout | undefined => list.find((one) => one.key === (key || "all")) ?? list[0];

/** The share of what was closed that was closed in time, in percent. */
export function share(f: Figures): number | null {
  return f.closed ? Math.round((f.in_time / f.closed) * 1000) / 10 : null;
}

export const rateLevel = (rate: number | null): string => (rate === null ? "" : rate >= 95 ? "good" : rate >= 85 ? "warn" : "bad");
const query = (at: number | null, sign: string) => (at === null ? "" : `${sign}at=${encodeURIComponent(new Date(at).toISOString())}`);

export const readBoard = (topic: string, at: number | null): Promise<Board> => get<Board>(`/api/v1/boards/${topic}${query(at, "?")}`);
/** The declared indicators of a topic; `all` shows those of events, which run through every topic. */
export const readIndicators = (layout: Layout, at: number | null): Promise<IndicatorBoard> =>
  get<IndicatorBoard>(`/api/v1/indicators/board?topic=${layout.topic === "all" ? "events" : layout.topic}&keys=${layout.cards.map((c) => c.indicator).join(",")}${query(at, "&")}`);

export type TileKey = "open" | "late" | "closed";

export function Tiles({ f, open }: { f: Figures; open(list: TileKey): void }) {
  const rate = share(f);
  const tiles: [Key, string, string, string, TileKey][] = [
    ["board.open", num(f.open), "", f.urgent ? t("board.urgent", { n: num(f.urgent) }) : t("board.urgent.none"), "open"],
    ["board.late", num(f.late), f.late ? "bad" : "good", f.open ? t("board.late.of", { n: num((f.late / f.open) * 100) }) : "", "late"],
    ["board.rate", rate === null ? "—" : `${num(rate)}%`, rateLevel(rate), t("board.closed", { n: num(f.closed) }), "closed"],
    ["board.median", f.median_s === null ? "—" : span(f.median_s), "", t("board.days30"), "closed"],
  ];
  return <div class="tiles">{tiles.map(([key, value, level, note, list]) => <button class={level} data-tile={key} onClick={() => open(list)}><span class="name small">{t(key)}</span><span class="value">{value}</span><span class="muted small">{note}</span></button>)}</div>;
}

export interface BoardHooks { open(list: TileKey): void; district?(code: string): void; kind?(kind: string): void; activity?(one: Activity): void; indicator?(one: Indicator): void }

export interface Detail { definition: { document?: string; where?: string; verified?: boolean }; formula: string | null; by_district: { code: string; name: string | null; value: number | null }[] }

/** What an indicator is made of: definition, its ranking of districts, and the way to its things. */
export function More({ one, pick }: { one: Indicator; pick?: (one: Indicator) => void }) {
  const [d, setDetail] = useState<Detail | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  useEffect(() => { get<Detail>(`/api/v1/indicators/${encodeURIComponent(one.key)}`).then(setDetail, (e: Error) => setWhy(e.message)); }, [one.key]);
  if (why) return <p class="bad small">{t("error.load", { why })}</p>;
  if (!d) return null;
  const bars = d.by_district.filter((x) => x.value !== null).sort((x, y) => y.value! - x.value!).map((x) => ({ key: x.code, label: placed(x.name) ?? x.code, value: x.value! }));
  return (
    <div class="indicator-more">
      {[d.definition.document, d.formula ?? d.definition.where].filter(Boolean).map((said) => <p class="small muted">{said}</p>)}
      {bars.length > 0 && <Bars bars={bars} />}
      {pick && one.things && <button class="btn" data-things={one.key} onClick={() => pick(one)}>{t("board.show")}</button>}
    </div>
  );
}

export function Indicators({ board, pick }: { board: IndicatorBoard; pick?: (one: Indicator) => void }) {
  const [open, setOpen] = useState<string | null>(null);
  if (!board.indicators.length) return null;
  return (
    <div class="groups">
      {board.groups.map((group) => {
        const list = board.indicators.filter((one) => one.group === group.key);
        return list.length > 0 && (
          <section key={group.key}>
            <h3>{tt(group.title)}</h3>
            <ul class="indicators">{list.map((one) => (
              <li key={one.key}><button class={one.level} data-indicator={one.key} aria-expanded={open === one.key} onClick={() => setOpen(open === one.key ? null : one.key)}>
                <span class="grow cut" title={tt(one.title)}>{tt(one.title)}</span>
                <Spark values={one.trend.map((p) => p[1])} />
                <span class="figure"><b>{one.value === null ? "—" : num(one.value)}</b><span class="unit">{tt(one.unit)}</span>{one.target !== null && <span class="muted small">{t("board.target", { n: num(one.target) })}</span>}</span>
              </button>{open === one.key && <More one={one} pick={pick} />}</li>
            ))}</ul>
          </section>
        );
      })}
    </div>
  );
}

/** One section of a board; what it needs and does not have is not drawn. */
function Section({ part, b, layout, indicators, hooks }: { part: Part; b: Board | null; layout: Layout; indicators: IndicatorBoard | null; hooks: BoardHooks }) {
  if (part === "cards") return indicators && <Cards cards={layout.cards} known={indicators.indicators} pick={hooks.indicator} />;
  if (part === "indicators") return indicators && <Indicators board={indicators} pick={hooks.indicator} />;
  if (!b) return null;
  if (part === "activities") return b.activities?.length ? <><h3>{t("board.activities")}</h3><ul class="activities">{b.activities.map((one) => <li key={one.key}><button data-activity={one.key} disabled={!hooks.activity} onClick={() => hooks.activity?.(one)}><Icon name="tent" /><span class="grow cut">{tt(one.title)}</span><span class="small muted">{t("board.around", { r: km(one.radius_m) })}</span></button></li>)}</ul></> : null;
  if (part === "figures") return <Tiles f={b.figures} open={hooks.open} />;
  if (part === "stages") return <><h3>{t("board.stages")}</h3><ol class="funnel">{b.stages.map((one) => <li><b>{num(one.n)}</b><span class="small muted">{t(`stage.${one.stage}` as Key)}</span></li>)}</ol></>;
  if (part === "days") return <><h3>{t("board.days")}<span class="key small muted"><i class="opened" />{t("time.opened")}<i class="closed" />{t("time.closed")}</span></h3><Days days={b.days} label={(d) => day(d)} /></>;
  if (part === "categories") return <><h3>{t("board.categories")}<span class="muted small">{t("board.days30")}</span></h3><Bars bars={b.categories.map((c) => ({ key: c.category, label: tt(c.title), value: c.opened }))} /></>;
  if (part === "kinds") return <><h3>{t("board.kinds")}</h3><Bars bars={b.kinds.slice(0, 14).map((k) => ({ key: k.kind, label: tt(k.title), value: k.n }))} pick={hooks.kind} /></>;
  const districts = b.districts.filter((d) => d.code).slice(0, 16).map((d) => ({ key: d.code, label: placed(d.name) ?? d.code, value: d.open, part: d.late, note: share(d) === null ? "" : `${num(share(d)!)}%` }));
  return <><h3>{t("board.districts")}<span class="muted small">{t("board.districts.key")}</span></h3>{districts.length ? <Bars bars={districts} pick={hooks.district} /> : <p class="muted small">{t("events.none")}</p>}</>;
}

export function BoardBody({ b, layout, indicators, hooks }: { b: Board | null; layout: Layout; indicators: IndicatorBoard | null; hooks: BoardHooks }) {
  return (
    <>
      {layout.parts.map((part) => <Section key={part} part={part} b={b} layout={layout} indicators={indicators} hooks={hooks} />)}
      {b && <p class="muted small of">{t("cards.of", { t: hm(b.at) })}</p>}
    </>
  );
}

/** The boards as tabs: those of topics and those that somebody composed. */
export function BoardTabs({ list, now, pick }: { list: Layout[]; now: string; pick(key: string): void }) {
  return (
    <div class="topics" role="group" aria-label={t("rail.topic")}>
      {list.map((one) => <button aria-pressed={now === one.key} class={now === one.key ? "on" : ""} data-topic={one.key} onClick={() => pick(one.key)}><span style={{ color: one.topic === "all" || one.topic === "activity" ? undefined : `var(--${one.topic})` }}><Icon name={one.icon ?? "layout-dashboard"} size={18} /></span>{tt(one.title)}</button>)}
    </div>
  );
}
