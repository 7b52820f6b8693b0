/** Small pieces: a number with its unit, its level by shape and colour, its last two weeks as a line. */
import { lang, t, tt, type Key } from "../../common/i18n";
import type { Indicator, Level } from "./types";

const SIGN: Record<Level, string> = { good: "●", warn: "▲", bad: "◆", none: "" };

/** With as many decimals as were declared, thousands apart. */
export function said(of: { decimals: number }, value: number | null): string {
  if (value === null) return "—";
  return value.toLocaleString(lang.value === "en" ? "en-GB" : "zh-CN", { minimumFractionDigits: 0, maximumFractionDigits: of.decimals });
}

export function Figure({ of, big = false }: { of: Indicator; big?: boolean }) {
  return <span class={`figure ${big ? "big" : ""}`}><b>{said(of, of.value)}</b>{of.value !== null && <small class="muted">{tt(of.unit)}</small>}</span>;
}

export function Sign({ level, text = false }: { level: Level; text?: boolean }) {
  if (level === "none") return <span class="muted">{text ? t("ind.level.none") : "—"}</span>;
  const words = t(`ind.level.${level}` as Key);
  return <span class={`sign ${level}`} title={words}><span aria-hidden="true">{SIGN[level]}</span>{text ? ` ${words}` : <span class="sr">{words}</span>}</span>;
}

/** What it is against: ≥ 95 % from a document, or a working value of ours. */
export function Target({ of }: { of: Indicator }) {
  if (of.target === null) return <span class="muted">—</span>;
  return <span class="target">{of.better === "up" ? "≥" : "≤"} {said(of, of.target)}{!of.verified && <i class="tag" title={t("ind.unverified.long")}>{t("ind.unverified")}</i>}</span>;
}

export function Delta({ of }: { of: Indicator }) {
  if (of.delta === null) return <span class="muted">—</span>;
  const way = of.delta > 0 ? "+" : of.delta < 0 ? "−" : "±";
  return <span class="delta" title={tt(of.delta_base)}>{way}{said(of, Math.abs(of.delta))}</span>;
}

/** Two weeks as a line; days that nobody counted are left out. */
export function Spark({ of, width = 96, height = 24 }: { of: Indicator; width?: number; height?: number }) {
  const known = of.trend.map(([, v], i) => [i, v] as const).filter((p): p is readonly [number, number] => p[1] !== null);
  if (known.length < 2) return <span class="muted" title={t("ind.trend.young")}>—</span>;
  const values = known.map((p) => p[1]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (i: number) => 2 + (i / (of.trend.length - 1)) * (width - 4);
  const y = (v: number) => (high === low ? height / 2 : height - 3 - ((v - low) / (high - low)) * (height - 6));
  const [li, lv] = known[known.length - 1]!;
  return (
    <svg class="spark" width={width} height={height} role="img" aria-label={t("ind.trend.label", { low: said(of, low), high: said(of, high) })}>
      <polyline points={known.map(([i, v]) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ")} />
      <circle cx={x(li)} cy={y(lv)} r="2.5" />
    </svg>
  );
}
