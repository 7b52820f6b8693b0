/** Six numbers in one strip; each opens the list that it counts. */
import { hm, num } from "../common/format";
import { t, tt } from "../common/i18n";
import type { Card } from "../common/types";
import * as s from "./store";

const LISTS: Record<string, s.Filter> = { open: "open", late: "late", opened: "open", closed: "closed", median: "closed" };

function Delta({ card }: { card: Card }) {
  if (card.delta === null || card.delta === undefined) return <span class="delta muted small">{tt(card.delta_base)}</span>;
  const sign = card.key === "opened" && card.delta > 0 ? "+" : "";
  return <span class="delta muted small">{tt(card.delta_base)} <b>{sign}{num(card.delta)}</b></span>;
}

export function Indicators() {
  const got = s.cards.value;
  return (
    <section class="cards panel" aria-label={t("cards.title")} title={got ? t("cards.of", { t: hm(got.at) }) : undefined}>
      {(got?.cards ?? []).map((c) => (
        <button key={c.key} class={`ind ${c.level}`} data-key={c.key} onClick={() => { s.filter.value = LISTS[c.key] ?? "open"; s.viewOnly.value = false; }}>
          <span class="name small">{tt(c.title)}</span>
          <span class="value">{c.value === null ? "—" : num(c.value)}{c.value !== null && tt(c.unit) && <span class="unit">{tt(c.unit)}</span>}</span>
          <Delta card={c} />
        </button>
      ))}
    </section>
  );
}
