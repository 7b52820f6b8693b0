/** The command wall. */
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "../common/base.css";
import "./wall.css";
import "../common/board.css";
import "./tools.css";
import { get, mustSession } from "../common/api";
import { num, span } from "../common/format";
import { Icon } from "../common/icon";
import { lang, startLang, t, tt } from "../common/i18n";
import { startTheme } from "../common/theme";
import type { Category, Config, LayerTree, Session } from "../common/types";
import { watermark } from "../mapkit";
import { loadAlarms, takeAlarms, type Alarm } from "./alarmstore";
import { Efficiency } from "./efficiency";
import { walk } from "./events";
import { loadFences, refreshFences } from "./fencestore";
import { Indicators } from "./indicators";
import { bearing, centre, home, startMap, zoomBy } from "./mapview";
import { kiosk, screen, start as asked } from "./place";
import { openPanel, Rail } from "./rail";
import { startRoom } from "./room";
import { loadScenes } from "./scenes";
import { Side } from "./side";
import * as s from "./store";
import { backToLive, PastFrame, Timeline } from "./timeline";
import { loadPlots } from "./toolstore";
import { loadLayouts } from "./topic";
import { TopBar } from "./topbar";
import { Called, loadCalls } from "../common/called";
import { startTour } from "./tour";

function Tools() {
  return (
    <div class="tools panel" role="toolbar" aria-label={t("map.label")}>
      <button class={s.threeD.value ? "wide on" : "wide"} aria-pressed={s.threeD.value} onClick={() => (s.threeD.value = !s.threeD.value)} title="D">{t(s.threeD.value ? "map.2d" : "map.3d")}</button>
      <button aria-label={t("map.in")} title={t("map.in")} onClick={() => zoomBy(1)}><Icon name="plus" size={18} /></button>
      <button aria-label={t("map.out")} title={t("map.out")} onClick={() => zoomBy(-1)}><Icon name="minus" size={18} /></button>
      <button aria-label={t("map.home")} title={t("map.home")} onClick={home}><Icon name="map" size={18} /></button>
      {Math.abs(bearing.value) > 1 && <button aria-label={t("map.north")} title={t("map.north")} onClick={home}><span style={{ transform: `rotate(${-bearing.value}deg)` }}><Icon name="navigation" size={18} /></span></button>}
    </div>
  );
}

function Menu() {
  const first = useRef<HTMLButtonElement>(null);
  const m = s.menu.value;
  useEffect(() => first.current?.focus(), [m]);
  if (!m) return null;
  const said = `${m.at[0].toFixed(6)},${m.at[1].toFixed(6)}`;
  const report = () => { s.closeCard(); s.reporting.value = m.at; s.menu.value = null; };
  const copy = () => { void navigator.clipboard?.writeText(said).then(() => s.tell(t("map.copied", { c: said })), () => s.tell(said)); s.menu.value = null; };
  return (
    <div class="menu panel" role="menu" style={{ left: `${Math.min(m.x, innerWidth - 580)}px`, top: `${m.y}px` }}>
      {s.moment.value === null && <button ref={first} role="menuitem" data-do="report" onClick={report}><Icon name="megaphone" />{t("map.report")}</button>}
      <button role="menuitem" onClick={copy}><Icon name="copy" />{t("map.copy")}<span class="muted small">{said}</span></button>
    </div>
  );
}

/** What the network does: lost since when; and, once it is back, what was missed and is here again. */
function Network() {
  void s.clock.value;
  const since = s.lostSince.value;
  const back = s.caughtUp.value;
  const away = since === null ? 0 : (Date.now() - since) / 1000;
  if (away > 1.5) return <div class="network lost" role="alert"><i />{t("net.lost", { s: span(away) })}</div>;
  if (back) return <div class="network back" role="status"><i />{t("net.back", { s: span(back.away_s), n: num(back.missed) })}</div>;
  return null;
}

function typing(e: KeyboardEvent): boolean {
  return /^(INPUT|TEXTAREA|SELECT)$/.test((e.target as HTMLElement).tagName) && (e.target as HTMLInputElement).type !== "checkbox";
}

const KEYS: Record<string, () => void> = {
  l: backToLive,
  d: () => (s.threeD.value = !s.threeD.value),
  j: () => walk(1),
  k: () => walk(-1),
  r: () => { if (s.moment.value === null) { s.closeCard(); s.reporting.value = centre(); } },
};

function onKey(e: KeyboardEvent): void {
  if (e.key === "Escape") {
    if (s.menu.value) s.menu.value = null;
    else if (s.selected.value || s.reporting.value) s.closeCard();
    else if (s.panel.value && screen === "main") openPanel(null);
    else if (s.moment.value !== null) backToLive();
    return;
  }
  if (typing(e) || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/") {
    e.preventDefault();
    document.getElementById("search")?.focus();
    return;
  }
  const run = KEYS[e.key.toLowerCase()];
  if (run) { e.preventDefault(); run(); }
}

function Wall() {
  const box = useRef<HTMLDivElement>(null);
  const [why, setWhy] = useState<string | null>(null);
  useEffect(() => {
    addEventListener("keydown", onKey);
    if (kiosk) void navigator.wakeLock?.request("screen").catch(() => undefined);
    const stopMark = watermark(document.body, `${s.session.value.user} ${tt(s.session.value.name)}`);
    startMap(box.current!).then(() => {
      s.listeners.push({
        alarms: (list) => { takeAlarms(list as Alarm[]); refreshFences(); if ((list as Alarm[]).some((a) => a.waits?.includes(s.session.value.user))) void loadCalls().catch(() => undefined); }, reload: () => void s.loadNames().catch(() => undefined),
        hello: (_missed, again) => { if (again) void Promise.all([loadAlarms(), loadPlots(), loadFences(), s.loadNames()]).catch(() => undefined); },
        entry: (entry) => {
          if (entry.class === "plot") void loadPlots().catch(() => undefined);
          if (entry.class === "declaration") void Promise.all([loadFences(), loadLayouts()]).catch(() => undefined);
        },
      });
      startRoom();
      s.goLive();
      begin();
      startTour();
      return Promise.all([s.loadEvents(), s.loadCards(), s.loadBins(), s.loadNames(), loadAlarms(), loadPlots(), loadFences(), loadLayouts(), loadScenes()]);
    }).catch((e: Error) => setWhy(e.message));
    return () => { removeEventListener("keydown", onKey); stopMark(); };
  }, []);
  return (
    <div class={`wall screen-${screen}${s.moment.value === null ? "" : " inpast"}${kiosk ? " kiosk" : ""}${s.panel.value ? " drawn" : ""}`} lang={lang.value}>
      <main class="map" ref={box} aria-label={t("map.label")} />
      <PastFrame />
      <TopBar />
      <Called open={s.openAlarm} tell={s.tell} />
      {screen === "a" ? <Efficiency /> : <Rail />}
      <Tools />
      <Network />
      {screen === "main" && <Indicators />}
      <Timeline />
      <Side />
      <Menu />
      {s.config.value.generated && <p class="generated" title={tt(s.config.value.generated)}>{t("generated")}</p>}
      {(s.notice.value || why) && <div class="notice" role="alert">{why ? t("error.load", { why }) : s.notice.value}</div>}
      <p class="sr">{t("keys.hint")}</p>
    </div>
  );
}

/** What the address asks for, once the map stands. */
function begin(): void {
  const said = asked();
  if (said.threeD) s.threeD.value = true;
  if (said.topic) s.topic.value = said.topic;
  if (said.at !== null && said.at < s.serverNow()) s.showMoment(said.at);
  const [type, key] = said.selected ?? [];
  if (type === "event") s.openEvent(key!);
  else if (type === "alarm") s.openAlarm(key!);
  else if (type === "thing") void s.openThing(key!);
  const first: Partial<Record<typeof screen, s.PanelName>> = { b: "topic", c: "plans" };
  s.panel.value = (said.panel as s.PanelName | null) ?? first[screen] ?? null;
}

async function start(): Promise<void> {
  startTheme("wall", "night");
  s.config.value = await get<Config>("/api/v1/config");
  startLang(s.config.value.lang);
  [s.session.value, s.tree.value, s.categories.value] = await Promise.all([mustSession<Session>(), get<LayerTree>("/layers"), get<Category[]>("/api/v1/categories")]);
  const { on, off } = asked();
  s.hidden.value = new Set(s.tree.value.groups.flatMap((g) => g.layers).filter((l) => (l.visible ? off.includes(l.id) : !on.includes(l.id))).map((l) => l.id));
  render(<Wall />, document.getElementById("app")!);
}

start().catch((why: Error) => {
  const p = document.createElement("p");
  p.className = "fatal";
  p.textContent = t("error.load", { why: why.message });
  document.getElementById("app")!.append(p);
});
