/** Small signs of the catalogue: a score, an age, a severity, a level. */
import { Mark } from "../../common/icon";
import { num } from "../../common/format";
import { t, type Key } from "../../common/i18n";
import type { Item, Severity } from "./types";

/** The token that a score is drawn in; the number always stands beside it. */
export function tone(score: number | null): string {
  if (score === null) return "stale";
  return score >= 95 ? "good" : score >= 80 ? "minor" : score >= 60 ? "major" : "critical";
}

export function Score({ value, wide = false }: { value: number | null; wide?: boolean }) {
  if (value === null) return <span class="muted">{t("cat.unchecked")}</span>;
  return (
    <span class={`score ${wide ? "wide" : ""}`}>
      <span class="bar" aria-hidden="true"><i style={{ width: `${value}%`, background: `var(--${tone(value)})` }} /></span>
      <b>{value.toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 })}</b>
    </span>
  );
}

/** `3 天前`, and whether that is beyond the update cycle. */
export function ago(at: string | null, now = Date.now()): string {
  if (!at) return t("cat.never");
  const days = Math.floor((now - new Date(at).getTime()) / 86_400_000);
  return days < 1 ? t("cat.today") : days < 60 ? t("cat.days", { n: days }) : t("cat.months", { n: Math.round(days / 30) });
}

export function Fresh({ item }: { item: Pick<Item, "freshest" | "fresh"> }) {
  return (
    <span class="fresh">
      {ago(item.freshest)}
      {item.fresh === false && <span class="tag stale">{t("cat.stale")}</span>}
    </span>
  );
}

const LEVELS: Record<Severity, number> = { error: 1, warn: 2, info: 4 };

export function Weight({ severity, size = 12 }: { severity: Severity; size?: number }) {
  return <Mark level={LEVELS[severity]} size={size} />;
}

/** How many things fail, worst first; nothing where all is well. */
export function Failing({ failures }: { failures: Record<Severity, number> }) {
  const said = (["error", "warn", "info"] as const).filter((s) => failures[s] > 0);
  if (!said.length) return <span class="muted">—</span>;
  return (
    <span class="failing">
      {said.map((s) => <span title={t(`cat.${s}` as Key)}><Weight severity={s} /><span class="sr">{t(`cat.${s}` as Key)}</span>{num(failures[s])}</span>)}
    </span>
  );
}

/** `30d` as a person says it. */
export function cycle(span: string | null): string {
  if (!span) return t("cat.nocycle");
  const n = Number(span.slice(0, -1));
  const unit = span.at(-1) as "s" | "m" | "h" | "d";
  return t(`cat.every.${unit}` as Key, { n });
}
