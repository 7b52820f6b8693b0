/** Cards of indicators: the figure, how it has moved, where it stands between warning and target. */
import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { More, type CardSaid, type Detail, type Indicator } from "./board";
import { Spark } from "./charts";
import { num } from "./format";
import { t, tt } from "./i18n";
import { placed } from "./places";

/** Good, watch, bad: told by shape as well as by colour. */
const SIGNS = { good: "●", warn: "▲", bad: "◆", none: "" } as const;

/** How a figure of this size is written: as many decimals as are declared, large ones in ten thousands. */
export function figure(one: Indicator): string {
  if (one.value === null) return "—";
  const big = Math.abs(one.value) >= 1e5;
  return big ? num(one.value / 1e4, 1) : num(one.value, one.decimals ?? 1);
}

export const unitOf = (one: Indicator): string => `${one.value !== null && Math.abs(one.value) >= 1e5 ? t("unit.wan") : ""}${tt(one.unit)}`;

/** A bar from nothing to a little beyond the target: the value filled, warning and target as ticks. */
function Bullet({ one }: { one: Indicator }) {
  if (one.target === null || one.value === null) return null;
  const top = tt(one.unit) === "%" ? Math.max(100, one.value) : Math.max(one.target, one.warn ?? 0, one.value, 1e-9) * 1.12;
  const at = (v: number) => `${Math.min(100, Math.max(0, (v / top) * 100))}%`;
  return (
    <span class="bullet" aria-hidden="true">
      <i class="fill" style={{ width: at(one.value) }} />
      {one.warn !== null && one.warn !== undefined && <i class="tick warn" style={{ left: at(one.warn) }} />}
      <i class="tick target" style={{ left: at(one.target) }} />
    </span>
  );
}

function Delta({ one }: { one: Indicator }) {
  if (one.delta === null || one.delta === 0) return null;
  const good = one.better ? (one.delta > 0) === (one.better === "up") : null;
  return <span title={tt(one.delta_base)} class={`delta ${good === null ? "muted" : good ? "good" : "bad"}`}>{one.delta > 0 ? "▲" : "▼"} {num(Math.abs(one.delta), one.decimals ?? 1)}</span>;
}

/** The first districts of an indicator, read when the card is drawn. */
function Ranking({ one }: { one: Indicator }) {
  const [d, setDetail] = useState<Detail | null>(null);
  useEffect(() => { get<Detail>(`/api/v1/indicators/${encodeURIComponent(one.key)}`).then(setDetail, () => setDetail(null)); }, [one.key]);
  const rows = (d?.by_district ?? []).filter((x) => x.value !== null).sort((x, y) => (one.better === "down" ? x.value! - y.value! : y.value! - x.value!)).slice(0, 3);
  return <ol class="podium small">{rows.map((x) => <li><span class="cut">{placed(x.name) ?? x.code}</span><b>{num(x.value!)}</b></li>)}</ol>;
}

function Card({ said, one, open, toggle }: { said: CardSaid; one: Indicator; open: boolean; toggle(): void }) {
  const name = tt(said.title) || tt(one.title);
  const marks = said.thresholds && one.target !== null;
  return (
    <button class={`${one.level}${said.wide ? " wide" : ""}${open ? " on" : ""}`} data-card={one.key} aria-expanded={open} onClick={toggle}>
      <span class="cardhead small"><span class="name grow cut" title={name}>{name}</span><Delta one={one} /></span>
      <span class="line"><span class="value">{figure(one)}<span class="unit">{unitOf(one)}</span></span>{one.level !== "none" && <span class="sign" title={t(`level.${one.level}`)}>{SIGNS[one.level]}</span>}{said.look === "trend" && <Spark values={one.trend.map((p) => p[1])} width={said.wide ? 180 : 48} height={24} />}</span>
      {said.look === "ranking" && <Ranking one={one} />}
      {marks && <Bullet one={one} />}
      {marks && <span class="foot small muted">{t("board.target", { n: num(one.target!) })}{one.warn !== null && one.warn !== undefined && ` · ${t("board.warn", { n: num(one.warn) })}`}</span>}
    </button>
  );
}

export function Cards({ cards, known, pick }: { cards: CardSaid[]; known: Indicator[]; pick?: (one: Indicator) => void }) {
  const [open, setOpen] = useState<string | null>(null);
  const by = new Map(known.map((one) => [one.key, one]));
  const shown = cards.flatMap((said) => { const one = by.get(said.indicator); return one ? [{ said, one }] : []; });
  if (!shown.length) return null;
  const chosen = open === null ? undefined : by.get(open);
  return (
    <>
      <div class="cardgrid">{shown.map(({ said, one }) => <Card key={one.key} said={said} one={one} open={open === one.key} toggle={() => setOpen(open === one.key ? null : one.key)} />)}</div>
      {chosen && <section class="cardmore" aria-label={tt(chosen.title)}><b>{tt(chosen.title)}</b><More one={chosen} pick={pick} /></section>}
    </>
  );
}
