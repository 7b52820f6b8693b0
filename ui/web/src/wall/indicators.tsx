/** The strip of declared indicators; each card opens the list that it counts, or the things behind it. */
import { Spark } from "../common/charts";
import { hm, num } from "../common/format";
import { t, tt } from "../common/i18n";
import type { Card } from "../common/types";
import { setSideTab } from "./side";
import * as s from "./store";
import { showThings } from "./topic";

const LISTS: Record<string, s.Filter> = { "events.open": "open", "events.late_now": "late", "events.opened_today": "open", "events.closed_today": "closed", "events.on_time_30d": "closed" };

function pick(card: Card): void {
  const list = LISTS[card.key];
  if (!list) return void (card.things && showThings(card.things).catch((why: Error) => s.tell(why.message)));
  s.filter.value = list;
  s.viewOnly.value = false;
  setSideTab("events");
}

/** How it stands against its base, or its target where there is no base. */
function Delta({ card }: { card: Card }) {
  if (card.delta !== null) return <span class="delta muted small">{tt(card.delta_base)} <b>{card.delta > 0 ? "+" : ""}{num(card.delta, card.decimals)}</b></span>;
  return <span class="delta muted small">{card.target === null ? "\u00a0" : t("board.target", { n: num(card.target) })}</span>;
}

export function Indicators() {
  const got = s.cards.value;
  return (
    <section class="cards panel" aria-label={t("cards.title")} title={got ? t("cards.of", { t: hm(got.at) }) : undefined}>
      {(got?.cards ?? []).map((c) => (
        <button key={c.key} class={`ind ${c.level}`} data-key={c.key} onClick={() => pick(c)}>
          <span class="name small">{tt(c.title)}</span>
          <span class="line"><span class="value">{c.value === null ? "—" : num(c.value, c.decimals)}{c.value !== null && tt(c.unit) && <span class="unit">{tt(c.unit)}</span>}</span><Spark values={c.trend.map((p) => p[1])} width={64} height={22} /></span>
          <Delta card={c} />
        </button>
      ))}
    </section>
  );
}
