/** One property over time: every value while they are few, else the mean within its extremes; gaps stay gaps. */
import { useEffect, useRef, useState } from "preact/hooks";
import { num, stamp, when } from "../../common/format";
import { t, tt } from "../../common/i18n";
import type { Series } from "./types";

interface Point { at: number; low: number; mid: number; high: number }
const H = 168, LEFT = 44, RIGHT = 12, TOP = 10, BOTTOM = 22;

function points(s: Series): Point[] {
  if (s.values) return s.values.map(([at, v]) => ({ at: Date.parse(at), low: v, mid: v, high: v }));
  return (s.buckets ?? []).map(([at, low, mid, high]) => ({ at: Date.parse(at), low, mid, high }));
}

/** Round marks of an axis: 1, 2 or 5 times a power of ten apart. */
export function ticks(low: number, high: number, many: number): number[] {
  const raw = (high - low) / many || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= raw)!;
  const found: number[] = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) found.push(Math.abs(v) < step * 1e-6 ? 0 : v);
  return found;
}

function times(from: number, to: number): number[] {
  const steps = [5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080, 43200].map((m) => m * 60_000);
  const step = steps.find((s) => (to - from) / s <= 7) ?? steps[steps.length - 1]!;
  const zone = 8 * 3600e3, found: number[] = [];
  for (let at = Math.ceil((from + zone) / step) * step - zone; at <= to; at += step) found.push(at);
  return found;
}

/** Runs of points that belong together: longer silence than usual breaks the line. */
function runs(all: Point[]): Point[][] {
  if (all.length < 3) return [all];
  const gaps = all.slice(1).map((p, i) => p.at - all[i]!.at).sort((a, b) => a - b);
  const long = gaps[Math.floor(gaps.length * 0.75)]! * 3.5 + 60_000;
  const found: Point[][] = [[]];
  all.forEach((p, i) => { if (i && p.at - all[i - 1]!.at > long) found.push([]); found[found.length - 1]!.push(p); });
  return found;
}

export function Chart({ series, mark }: { series: Series; mark?: { value: number; label: string; level: number }[] }) {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    const seen = new ResizeObserver(([e]) => setWidth(Math.max(280, e!.contentRect.width)));
    seen.observe(host.current!);
    return () => seen.disconnect();
  }, []);
  const all = points(series);
  const from = Date.parse(series.from), to = Date.parse(series.to);
  const label = `${tt(series.title)}${series.unit ? ` (${tt(series.unit)})` : ""}`;
  const chosen = at === null || !all.length ? null : all.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a));
  const stepped = series.type === "boolean" || series.type === "enum";
  const reads = (v: number) => (series.type === "boolean" ? t(v ? "dev.yes" : "dev.no") : series.type === "enum" ? tt(series.codes[Math.round(v)]) : num(v, 2));
  const key = (e: KeyboardEvent) => {
    if (!all.length || (e.key !== "ArrowLeft" && e.key !== "ArrowRight")) return;
    e.preventDefault();
    const i = chosen ? all.indexOf(chosen) : all.length - 1;
    setAt(all[Math.min(all.length - 1, Math.max(0, i + (e.key === "ArrowLeft" ? -1 : 1)))]!.at);
  };
  const lows = all.map((p) => p.low), highs = all.map((p) => p.high);
  let low = Math.min(...lows), high = Math.max(...highs);
  if (!all.length) { low = series.low ?? 0; high = series.high ?? 1; }
  if (stepped) { low = 0; high = Math.max(1, series.codes.length - 1); }
  const pad = (high - low || Math.abs(high) * 0.2 || 1) * 0.12;
  if (!stepped) { low = series.low !== null && low - pad < series.low ? series.low : low - pad; high = series.high !== null && high + pad > series.high ? series.high : high + pad; if (low >= high) high = low + 1; }
  const x = (v: number) => LEFT + ((v - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (v: number) => TOP + (1 - (v - low) / (high - low)) * (H - TOP - BOTTOM);
  const groups = runs(all);
  const line = (run: Point[]) => run.map((p, i) => `${i ? (stepped ? `H${x(p.at).toFixed(1)}V` : "L" + x(p.at).toFixed(1) + " ") : "M" + x(p.at).toFixed(1) + " "}${y(p.mid).toFixed(1)}`).join("");
  const band = (run: Point[]) => `M${run.map((p) => `${x(p.at).toFixed(1)} ${y(p.high).toFixed(1)}`).join("L")}L${[...run].reverse().map((p) => `${x(p.at).toFixed(1)} ${y(p.low).toFixed(1)}`).join("L")}Z`;
  const move = (e: PointerEvent) => {
    const box = (e.currentTarget as SVGElement).getBoundingClientRect();
    setAt(from + ((e.clientX - box.left - LEFT) / (width - LEFT - RIGHT)) * (to - from));
  };
  const summary = all.length ? t("dev.chart.summary", { n: all.length, low: reads(Math.min(...lows)), high: reads(Math.max(...highs)), last: reads(all[all.length - 1]!.mid) }) : t("dev.chart.none");
  return (
    <figure class="chart" ref={host}>
      <figcaption><span>{tt(series.title)}{series.unit && <span class="unit">{tt(series.unit)}</span>}</span>
        <span class="muted small" aria-live="polite">{chosen ? <><b>{reads(chosen.mid)}</b> {chosen.low !== chosen.high && `(${reads(chosen.low)}–${reads(chosen.high)}) `}{stamp(chosen.at)}</> : summary}</span></figcaption>
      <svg width={width} height={H} role="img" aria-label={`${label}: ${summary}`} tabIndex={0} onKeyDown={key} onPointerMove={move} onPointerLeave={() => setAt(null)} onBlur={() => setAt(null)}>
        {(stepped ? [...Array(Math.max(2, series.codes.length)).keys()] : ticks(low, high, 4)).map((v) => (
          <g class="tick"><line x1={LEFT} x2={width - RIGHT} y1={y(v)} y2={y(v)} /><text x={LEFT - 6} y={y(v) + 4} text-anchor="end">{stepped ? reads(v).slice(0, 4) : num(v, 2)}</text></g>
        ))}
        {times(from, to).map((v) => <g class="tick time"><line x1={x(v)} x2={x(v)} y1={H - BOTTOM} y2={H - BOTTOM + 4} /><text x={x(v)} y={H - 5} text-anchor="middle">{when(v, to)}</text></g>)}
        {mark?.filter((m) => m.value > low && m.value < high).map((m) => <g class="mark"><line x1={LEFT} x2={width - RIGHT} y1={y(m.value)} y2={y(m.value)} /><text x={width - RIGHT} y={y(m.value) - 4} text-anchor="end">{m.label}</text></g>)}
        {series.buckets && groups.map((run) => run.length > 1 && <path class="band" d={band(run)} />)}
        {groups.map((run) => (run.length > 1 ? <path class="line" d={line(run)} /> : run[0] && <circle class="dot" cx={x(run[0].at)} cy={y(run[0].mid)} r="2" />))}
        {all.length > 0 && all.length <= 60 && all.map((p) => <circle class="dot" cx={x(p.at)} cy={y(p.mid)} r="2" />)}
        {chosen && <g class="here"><line x1={x(chosen.at)} x2={x(chosen.at)} y1={TOP} y2={H - BOTTOM} /><circle cx={x(chosen.at)} cy={y(chosen.mid)} r="4" /></g>}
        {!all.length && <text class="nothing" x={(width + LEFT) / 2} y={H / 2} text-anchor="middle">{t("dev.chart.none")}</text>}
      </svg>
    </figure>
  );
}
