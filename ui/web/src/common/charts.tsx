/** Small charts that open what they are made of: bars in rows, columns over days. */
import { num } from "./format";
import { t } from "./i18n";

export interface Bar { key: string; label: string; value: number; part?: number; on?: boolean; note?: string }

/** Rows of bars; a row is a button when it opens something. `part` is a share drawn in another colour. */
export function Bars({ bars, pick, most }: { bars: Bar[]; pick?: (key: string) => void; most?: number }) {
  const top = Math.max(1, most ?? 0, ...bars.map((b) => b.value));
  return (
    <ul class="bars">
      {bars.map((b) => {
        const inside = (
          <>
            <span class="cut">{b.label}</span>
            <span class="track" aria-hidden="true"><i style={{ width: `${(b.value / top) * 100}%` }} />{!!b.part && <i class="part" style={{ width: `${(b.part / top) * 100}%` }} />}</span>
            <b>{num(b.value)}</b>
            {b.note !== undefined && <span class="note muted small">{b.note}</span>}
          </>
        );
        return <li key={b.key}>{pick ? <button class={b.on ? "on" : ""} aria-pressed={!!b.on} data-bar={b.key} onClick={() => pick(b.key)}>{inside}</button> : <div>{inside}</div>}</li>;
      })}
    </ul>
  );
}

/** Two series over days: what came up, what was closed below the line. */
export function Days({ days, height = 84, label }: { days: { day: string; opened: number; closed: number }[]; height?: number; label: (day: string) => string }) {
  // Days before anything was kept say nothing: their place stays empty, and the first day is written.
  const first = Math.max(0, days.findIndex((d) => d.opened + d.closed > 0));
  const written = new Set([first, days.length - 1, ...(first < 5 ? [Math.floor((first + days.length) / 2)] : [])]);
  const top = Math.max(1, ...days.map((d) => Math.max(d.opened, d.closed)));
  // Across in percent of whatever width there is, up in pixels: letters and gaps stay as they are.
  const [mid, each] = [height / 2, 100 / Math.max(1, days.length)];
  const place = (i: number) => (i === 0 ? { x: "0", "text-anchor": "start" as const } : i === days.length - 1 ? { x: "100%", "text-anchor": "end" as const } : { x: `${(i + 0.5) * each}%`, "text-anchor": "middle" as const });
  return (
    <svg class="days" height={height + 18} role="img" aria-label={days.map((d) => `${label(d.day)} ${d.opened} ${d.closed}`).join("; ")}>
      {days.map((d, i) => (
        <g>
          <rect class="opened" x={`${(i + 0.08) * each}%`} width={`${each * 0.84}%`} y={mid - (d.opened / top) * (mid - 4)} height={(d.opened / top) * (mid - 4)} />
          <rect class="closed" x={`${(i + 0.08) * each}%`} width={`${each * 0.84}%`} y={mid + 1} height={(d.closed / top) * (mid - 4)} />
          {written.has(i) && <text {...place(i)} y={height + 14}>{i === first && first > 0 ? t("board.since", { d: label(d.day) }) : label(d.day)}</text>}
        </g>
      ))}
      <line x1="0" x2="100%" y1={mid} y2={mid} />
    </svg>
  );
}

/** A line of values without axes; the last point is marked. */
export function Spark({ values, width = 72, height = 22 }: { values: (number | null)[]; width?: number; height?: number }) {
  const known = values.filter((v): v is number => v !== null);
  if (known.length < 2) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const at = (v: number, i: number) => [(i / (values.length - 1)) * (width - 4) + 2, height - 3 - ((v - low) / Math.max(1e-9, high - low)) * (height - 6)] as const;
  const points = values.flatMap((v, i) => (v === null ? [] : [at(v, i)]));
  const last = points.at(-1)!;
  return (
    <svg class="spark" width={width} height={height} aria-hidden="true">
      <polyline points={points.map((p) => p.join(",")).join(" ")} /><circle cx={last[0]} cy={last[1]} r={2.2} />
    </svg>
  );
}
