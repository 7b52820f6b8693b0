/** Time: a histogram of what happened, the moment that the map shows, playback, and the way back to live. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../common/icon";
import { day, fullDay, hm, hms, ZONE_OFFSET_MS } from "../common/format";
import { t, type Key } from "../common/i18n";
import * as s from "./store";

const SPEEDS = [1, 10, 60, 300, 600];
const STEP_MS = 500;
let timer = 0;

export function backToLive(): void {
  stop();
  s.showMoment(null);
}

function stop(): void {
  clearInterval(timer);
  s.playing.value = 0;
}

function play(speed: number): void {
  clearInterval(timer);
  s.playing.value = speed;
  if (s.moment.value === null) s.showMoment(s.serverNow() - s.RANGES[s.range.value]);
  timer = window.setInterval(() => {
    const next = (s.moment.value ?? s.serverNow()) + speed * STEP_MS;
    if (next >= s.serverNow()) backToLive();
    else s.showMoment(next);
  }, STEP_MS);
}

function step_ms(range: number): number {
  return range <= 3600e3 ? 600e3 : range <= 6 * 3600e3 ? 3600e3 : range <= 86400e3 ? 3 * 3600e3 : range <= 7 * 86400e3 ? 86400e3 : 5 * 86400e3;
}

function Bars({ width, height, from, to }: { width: number; height: number; from: number; to: number }) {
  const top = Math.max(4, ...s.bins.value.map((b) => Math.max(b.opened, b.closed)));
  const x = (at: string | number) => ((new Date(at).getTime() - from) / (to - from)) * width;
  const mid = height * 0.62;
  return (
    <g>
      {s.bins.value.map((b) => {
        const [l, w] = [x(b.from), Math.max(1, x(b.to) - x(b.from) - 1.5)];
        const [up, down, late] = [(b.opened / top) * (mid - 6), (b.closed / top) * (height - mid - 4), (Math.min(b.late, top) / top) * (mid - 6)];
        return (
          <>
            {b.opened > 0 && <rect class="opened" x={l} width={w} y={mid - up} height={up} />}
            {b.late > 0 && <rect class="late" x={l} width={w} y={mid - late} height={late} />}
            {b.closed > 0 && <rect class="closed" x={l} width={w} y={mid + 1} height={down} />}
          </>
        );
      })}
      <line class="base" x1={0} x2={width} y1={mid} y2={mid} />
    </g>
  );
}

function ticks(from: number, to: number, range: number): { at: number; text: string; big: boolean }[] {
  const step = step_ms(range);
  const offset = -ZONE_OFFSET_MS;
  const out = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at < to; at += step) {
    const midnight = (at - offset) % 86400e3 === 0;
    out.push({ at, text: midnight || range > 86400e3 ? day(at) : hm(at), big: midnight });
  }
  return out;
}

/** Any second of any day: the window of the slider moves there. Written as text, for pickers know no seconds. */
function Jump() {
  const [text, setText] = useState<string | null>(null);
  const shown = new Date(s.shownNow() + ZONE_OFFSET_MS).toISOString().slice(0, 19).replace("T", " ");
  const go = (e: Event) => {
    e.preventDefault();
    const parts = /^(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec((text ?? "").trim());
    const two = (n: string | undefined) => (n ?? "0").padStart(2, "0");
    const at = parts ? Date.parse(`${parts[1]}-${two(parts[2])}-${two(parts[3])}T${two(parts[4])}:${parts[5]}:${two(parts[6])}+08:00`) : NaN;
    if (!Number.isFinite(at)) return s.tell(t("time.jump.how"));
    setText(null);
    stop();
    if (at >= s.serverNow()) backToLive();
    else s.showMoment(at);
  };
  return (
    <form class="jump" onSubmit={go}><label title={t("time.jump")}><span class="sr">{t("time.jump")}</span><Icon name="calendar-clock" />
      <input name="jump" maxLength={24} spellcheck={false} autocomplete="off" value={text ?? shown} onFocus={() => setText(shown)} onBlur={() => setText(null)} onInput={(e) => setText(e.currentTarget.value)} /></label></form>
  );
}

export function Timeline() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(1000);
  void s.clock.value;
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current!.clientWidth));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const range = s.RANGES[s.range.value];
  const now = s.serverNow();
  const past = s.moment.value;
  const shown = past ?? now;
  const to = s.windowEnd();
  const from = to - range;
  const height = 62;
  const x = Math.max(0, Math.min(1, (shown - from) / range)) * width;
  const at = (px: number) => from + (Math.max(0, Math.min(width, px)) / width) * range;
  const pull = (e: PointerEvent) => {
    const px = e.clientX - box.current!.getBoundingClientRect().left;
    if (px >= width - 4 && to >= now - 5000) backToLive();
    else { stop(); s.showMoment(at(px)); }
  };
  const key = (e: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[e.key];
    if (by) {
      e.preventDefault();
      stop();
      const next = shown + (by * range) / 240;
      if (next >= now) backToLive();
      else s.showMoment(next);
    }
    if (e.key === "Home") s.showMoment(from);
    if (e.key === "End") backToLive();
  };
  return (
    <section class={`timeline panel${past !== null ? " past" : ""}`} aria-label={t("time.title")}>
      <div class="bar">
        <button class="plain round" aria-label={s.playing.value ? t("time.pause") : t("time.play")} onClick={() => (s.playing.value ? stop() : play(60))}><Icon name={s.playing.value ? "pause" : "play"} size={18} /></button>
        <div class="speeds">{SPEEDS.map((n) => <button class={s.playing.value === n ? "on" : ""} onClick={() => play(n)}>{t("time.speed", { n })}</button>)}</div>
        <div class="when">{past !== null && <b>{hms(past)}</b>}</div>
        <Jump />
        <span class="grow" />
        <span class="key small muted"><i class="opened" />{t("time.opened")}<i class="closed" />{t("time.closed")}<i class="late" />{t("time.late")}</span>
        <div class="speeds">{(Object.keys(s.RANGES) as s.Range[]).map((r) => <button class={s.range.value === r ? "on" : ""} onClick={() => { s.range.value = r; void s.loadBins(); }}>{t(`time.range.${r}` as Key)}</button>)}</div>
        <button class={past === null ? "golive on" : "golive"} onClick={backToLive} aria-pressed={past === null}><i />{past === null ? t("live.now") : t("live.back")}{past !== null && <kbd>L</kbd>}</button>
      </div>
      <div class="track" ref={box} role="slider" tabIndex={0} aria-label={t("time.slider")} aria-valuemin={Math.round(from / 1000)} aria-valuemax={Math.round(to / 1000)} aria-valuenow={Math.round(shown / 1000)}
        aria-valuetext={past === null ? t("live.now") : `${day(past)} ${hms(past)}`} onKeyDown={key}
        onPointerDown={(e) => { box.current!.setPointerCapture(e.pointerId); pull(e); }} onPointerMove={(e) => e.buttons === 1 && pull(e)}>
        <svg width={width} height={height + 22} aria-hidden="true">
          {ticks(from, to, range).map((k) => { const tx = ((k.at - from) / range) * width; return tx > 24 && tx < width - 24 && <g class={k.big ? "tick big" : "tick"}><line x1={tx} x2={tx} y1={0} y2={height} /><text x={tx} y={height + 15}>{k.text}</text></g>; })}
          <Bars width={width} height={height} from={from} to={to} />
          {past !== null && <rect class="after" x={x} width={Math.max(0, width - x)} y={0} height={height} />}
          <g class="head" transform={`translate(${x},0)`}><line y1={0} y2={height} /><path d="M-6 0h12l-6 8z" /></g>
        </svg>
      </div>
    </section>
  );
}

/** The past is a coloured frame round the whole map, with the moment in large figures. */
export function PastFrame() {
  if (s.moment.value === null) return null;
  return (
    <div class="pastframe" aria-hidden="true">
      <div class="moment"><span>{t("live.past")}</span><b>{hms(s.moment.value)}</b><span>{fullDay(s.moment.value)}</span></div>
    </div>
  );
}
