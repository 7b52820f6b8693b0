/** One event as it was, second by second: the crew moves on the map, the steps come as they came. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { hms, span, stamp } from "../../common/format";
import { Icon, Mark } from "../../common/icon";
import { lang, t, tt, type Key } from "../../common/i18n";
import { theme } from "../../common/theme";
import type { LonLat, Photo, Titled } from "../../common/types";
import { calm, createMap, IconLayer, liveAtlas, PathLayer, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import * as s from "../state";

interface Step { seq: number | null; at: string; action: string; actor: string; actor_name: Titled | string | null; title: Titled | null; state: string; state_title: Titled; stage: number; holder: string | null; due_at: string | null; severity: number; note: string | null; photos: (Photo | string)[] }
interface Track { crew: string; name: string; fixes: [number, number, number][]; spans: [number, number][] }
interface Recording { code: string; title: string; severity: number; point: LonLat; from: string; to: string; steps: Step[]; tracks: Track[] }
const SPEEDS = [1, 10, 60, 300, 600];

/** Where a crew was at a second: between two fixes on the line from one to the next. */
export function whereAt(fixes: [number, number, number][], at: number): LonLat | null {
  if (!fixes.length || at < fixes[0]![0] - 1) return null;
  let low = 0, high = fixes.length - 1;
  while (low < high) { const mid = (low + high + 1) >> 1; if (fixes[mid]![0] <= at) low = mid; else high = mid - 1; }
  const a = fixes[low]!, b = fixes[low + 1];
  // A long silence is not a journey: the crew stands where it was last heard.
  if (!b || b[0] - a[0] > 180) return [a[1], a[2]];
  const f = Math.min(1, Math.max(0, (at - a[0]) / (b[0] - a[0])));
  return [a[1] + (b[1] - a[1]) * f, a[2] + (b[2] - a[2]) * f];
}

export function Replay({ code }: { code: string }) {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [of, setOf] = useState<Recording | null>(null);
  const [why, setWhy] = useState("");
  const [at, setAt] = useState(0);
  const [speed, setSpeed] = useState(60);
  const [playing, setPlaying] = useState(false);
  useEffect(() => { get<Recording>(`/api/v1/events/${encodeURIComponent(code)}/replay`).then((got) => { setOf(got); setAt(Date.parse(got.steps[0]!.at) / 1000); }, (e: Error) => setWhy(e.message)); }, [code]);
  useEffect(() => {
    if (!of) return;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: of.point[0] === null ? s.config.value.center : of.point, zoom: 14.5 });
    made.current = twin;
    const all = [of.point, ...of.tracks.flatMap((x) => x.fixes.map((f) => [f[1], f[2]] as LonLat))].filter((p) => p[0] !== null);
    const xs = all.map((p) => p[0]), ys = all.map((p) => p[1]);
    if (all.length > 1) twin.map.fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], { padding: 80, maxZoom: 16, duration: 0 });
    (window as unknown as { twin: unknown }).twin = { map: twin.map, at: () => clock.current };
    return () => { twin.map.remove(); made.current = null; };
  }, [of]);
  const clock = useRef(0);
  clock.current = at;
  const [from, to] = of ? [Date.parse(of.from) / 1000, Date.parse(of.to) / 1000] : [0, 1];
  useEffect(() => {
    if (!playing) return;
    let last = performance.now(), frame = 0;
    const step = (now: number) => {
      const next = Math.min(to, clock.current + ((now - last) / 1000) * speed);
      last = now;
      setAt(next);
      if (next >= to) return setPlaying(false);
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, to]);
  const done = useMemo(() => of?.steps.filter((x) => Date.parse(x.at) / 1000 <= at) ?? [], [of, Math.floor(at)]);
  const now = done[done.length - 1];
  const atlas = useMemo(() => liveAtlas(theme.value), [theme.value]);
  useEffect(() => {
    const twin = made.current;
    if (!twin || !of) return;
    const crews = of.tracks.flatMap((x) => { const p = whereAt(x.fixes, at); return p && x.spans.some(([a, b]) => at >= a - 120 && at <= b) ? [{ p, x }] : []; });
    const past = of.tracks.map((x) => ({ x, path: x.fixes.filter((f) => f[0] <= at).map((f) => [f[1], f[2]] as LonLat) })).filter((d) => d.path.length > 1);
    twin.setGroup("whole", of.tracks.filter((x) => x.fixes.length > 1).map((x) => new PathLayer({ id: `whole-${x.crew}`, data: [x.fixes.map((f) => [f[1], f[2]])], getPath: (d) => d as never, widthUnits: "pixels", getWidth: 2, getColor: rgba(theme.value, "muted", 90) })));
    twin.setGroup("past", past.map((d) => new PathLayer({ id: `past-${d.x.crew}`, data: [d.path], getPath: (p) => p as never, widthUnits: "pixels", getWidth: 4, capRounded: true, jointRounded: true, getColor: rgba(theme.value, "mine") })));
    const phase = !now || now.stage < 3 ? "new" : now.stage >= 6 ? "closed" : now.stage === 5 ? "verify" : "hand";
    const late = !!now?.due_at && at > Date.parse(now.due_at) / 1000 && now.stage < 6;
    twin.setGroup("event", now && of.point[0] !== null ? [new IconLayer({ id: "event", data: [now], iconAtlas: atlas.atlas as never, iconMapping: atlas.mapping, getPosition: () => of.point, getSize: 38, getIcon: (x: Step) => `e${x.severity}-${phase}${late ? "-late" : ""}`, updateTriggers: { getIcon: [phase, late] } })] : []);
    twin.setGroup("crew", [new ScatterplotLayer({ id: "crew", data: crews, getPosition: (d) => d.p, radiusUnits: "pixels", getRadius: 9, stroked: true, lineWidthUnits: "pixels", getLineWidth: 3, getLineColor: rgba(theme.value, "halo"), getFillColor: rgba(theme.value, "mine") })]);
  }, [of, at, now, theme.value, atlas]);
  if (why) return <p class="fatal" role="alert">{t("error.load", { why })}</p>;
  if (!of) return null;
  const jump = (x: number) => { setPlaying(false); setAt(Math.min(to, Math.max(from, x))); };
  const key = (e: KeyboardEvent) => {
    if (e.key === " " && !(e.target instanceof HTMLButtonElement)) { e.preventDefault(); setPlaying(!playing); }
    if (e.key === "ArrowRight" && !(e.target instanceof HTMLInputElement)) jump(at + 1);
    if (e.key === "ArrowLeft" && !(e.target instanceof HTMLInputElement)) jump(at - 1);
  };
  const photos = (x: Step) => x.photos.map((p) => (typeof p === "string" ? p : p.url));
  return (
    <div class="replay" onKeyDown={key}>
      <div class="maphost pastframe"><div ref={host} class="mapfull" role="application" aria-label={t("rep.map")} />
        <p class="moment"><b>{hms(at * 1000)}</b><span>{stamp(at * 1000).slice(0, 10)}</span></p></div>
      <aside class="one"><header><Mark level={of.severity} size={18} /><div class="grow"><h2>{of.title}</h2><p class="muted small">{of.code}</p></div><a class="btn" href={`/console/events/${of.code}`} onClick={(e) => { e.preventDefault(); s.go(`events/${of.code}`); }}><Icon name="chevron-left" />{t("rep.back")}</a></header>
        {now && <p class="nowline"><b>{tt(now.state_title)}</b><span class="muted">{t("rep.since", { s: span(at - Date.parse(now.at) / 1000) })}</span></p>}
        <ol class="story">{of.steps.map((x, i) => {
          const there = Date.parse(x.at) / 1000 <= at;
          const fresh = photos(x).slice(i ? photos(of.steps[i - 1]!).length : 0);
          return <li class={there ? (x === now ? "now" : "") : "later"}><button onClick={() => jump(Date.parse(x.at) / 1000)}><time class="small">{hms(x.at)}</time><span><b>{tt(x.title) || t(`rep.${x.action}` as Key)}</b> <span class="muted">{tt(x.actor_name as Titled) || x.actor}</span>{x.note && <span class="note">{x.note}</span>}</span></button>
            {there && fresh.length > 0 && <span class="photos">{fresh.map((u) => <img src={`${u}?w=160`} alt={t("event.photos")} />)}</span>}</li>;
        })}</ol></aside>
      <section class="player" aria-label={t("rep.player")}>
        <button class="btn main" data-do="play" aria-label={t(playing ? "rep.pause" : "rep.play")} onClick={() => { if (at >= to) setAt(from); setPlaying(!playing); }}><Icon name={playing ? "pause" : "play"} /></button>
        <button class="btn" aria-label={t("rep.sec.back")} onClick={() => jump(at - 1)}>−1 s</button><button class="btn" aria-label={t("rep.sec.on")} onClick={() => jump(at + 1)}>+1 s</button>
        <span class="track"><input type="range" min={from} max={to} step={1} value={at} aria-label={t("rep.time")} aria-valuetext={hms(at * 1000)} onInput={(e) => jump(Number(e.currentTarget.value))} />
          {of.steps.map((x) => <i style={{ left: `${(100 * (Date.parse(x.at) / 1000 - from)) / (to - from)}%` }} title={`${hms(x.at)} ${tt(x.title)}`} />)}</span>
        <span class="switch" role="group" aria-label={t("rep.speed")}>{SPEEDS.map((v) => <button aria-pressed={speed === v} onClick={() => setSpeed(v)}>{v}×</button>)}</span>
        {calm() && <span class="sr">{t("rep.player")}</span>}
      </section>
    </div>
  );
}
