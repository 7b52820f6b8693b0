/** The leader's page for phone and tablet: the board of each topic, what is behind each number, one tap from the map. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "../common/base.css";
import "../common/board.css";
import "./board.css";
import { get, mustSession, signOut } from "../common/api";
import { BoardBody, BoardTabs, layoutOf, readBoard, readIndicators, readLayouts, type Board, type Indicator, type IndicatorBoard, type Layout, type TileKey } from "../common/board";
import { called, num, stamp, when } from "../common/format";
import { Icon, Mark } from "../common/icon";
import { lang, setLang, startLang, t, tt } from "../common/i18n";
import { setTheme, startTheme, theme } from "../common/theme";
import type { Category, Config, Event, Session } from "../common/types";
import { watermark } from "../mapkit";
import { placed } from "../common/places";

interface Listed { title: string; rows: { key: string; title: string; note: string; level?: number; href: string }[]; total: number }
const REFRESH_MS = 30_000;

const onMap = (code: string, point: [number, number] | null) => `/wall?sel=event:${encodeURIComponent(code)}${point ? `#m=15/${point[1]}/${point[0]}` : ""}`;

async function events(kind: TileKey, topic: string, categories: Category[]): Promise<Listed> {
  const of = new Set(categories.filter((c) => topic === "all" || c.domain === topic).map((c) => c.key));
  const got = await get<{ events: Event[] }>(`/api/v1/events?state=${kind === "closed" ? "closed" : "open"}&limit=1000`);
  const list = got.events.filter((e) => of.has(e.category) && (kind !== "late" || e.late));
  return {
    title: t(kind === "late" ? "board.late" : kind === "closed" ? "board.done" : "board.open"), total: list.length,
    rows: list.slice(0, 200).map((e) => ({ key: e.code, title: called(e), level: e.severity, note: [placed(e.district_name), placed(e.street_name), tt(e.state_title), when(e.opened_at)].filter(Boolean).join(" · "), href: onMap(e.code, e.point) })),
  };
}

async function behind(one: Indicator): Promise<Listed> {
  const got = await get<{ total: number; things: { code: string; name: string; kind: string; lon: number | null; lat: number | null }[] }>(one.things!);
  return { title: tt(one.title), total: got.total, rows: got.things.map((x) => ({ key: x.code, title: x.name || x.code, note: x.code, href: x.kind === "event" ? onMap(x.code, x.lon === null ? null : [x.lon, x.lat!]) : `/wall?sel=thing:${encodeURIComponent(x.code)}${x.lon === null ? "" : `#m=16/${x.lat}/${x.lon}`}` })) };
}

function List({ listed, close }: { listed: Listed; close(): void }) {
  return (
    <section class="listed" aria-label={listed.title}>
      <header><button class="back" onClick={close}><Icon name="chevron-left" size={20} />{t("patrol.back.board")}</button><b class="grow cut">{listed.title}</b><span class="muted">{num(listed.total)}</span></header>
      <ul>{listed.rows.map((r) => <li key={r.key}><a href={r.href}>{r.level !== undefined && <Mark level={r.level} size={15} />}<span class="grow"><span class="cut title">{r.title}</span><span class="cut muted small">{r.note}</span></span><Icon name="map-pin" /></a></li>)}</ul>
      {!listed.rows.length && <p class="muted none">{t("events.none.filter")}</p>}
    </section>
  );
}

function Page({ session, categories, layouts, generated }: { session: Session; categories: Category[]; layouts: Layout[]; generated: string }) {
  const [topic, setTopic] = useState<string>(new URLSearchParams(location.search).get("topic") ?? "all");
  const [board, setBoard] = useState<Board | null>(null);
  const [declared, setDeclared] = useState<IndicatorBoard | null>(null);
  const [listed, setListed] = useState<Listed | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  const failed = (e: Error) => setWhy(e.message);
  const layout = layoutOf(layouts, topic)!;
  useEffect(() => {
    let old = false;
    // Each part is shown as soon as it is there: on a bad line the figures come before the rest.
    const read = () => {
      readBoard(layout.topic, null).then((b) => { if (!old) { setBoard(b); setWhy(null); } }, failed);
      readIndicators(layout, null).then((i) => { if (!old) setDeclared(i); }, failed);
    };
    setBoard(null);
    setDeclared(null);
    read();
    const timer = setInterval(() => document.visibilityState === "visible" && read(), REFRESH_MS);
    history.replaceState(null, "", topic === "all" ? "/board" : `/board?topic=${topic}`);
    return () => { old = true; clearInterval(timer); };
  }, [topic]);
  useEffect(() => watermark(document.body, `${session.user} ${tt(session.name)}`), []);
  const districts = (code: string) => { const d = board?.districts.find((one) => one.code === code); get<{ events: Event[] }>(`/api/v1/events?state=open&district=${code}&limit=200`).then((got) => setListed({ title: d?.name ?? code, total: got.events.length, rows: got.events.map((e) => ({ key: e.code, title: called(e), level: e.severity, note: [placed(e.street_name), tt(e.state_title), when(e.opened_at)].filter(Boolean).join(" · "), href: onMap(e.code, e.point) })) }), failed); };
  return (
    <div class="board" lang={lang.value}>
      <header class="head">
        <img src="/ui/icon.svg" width="24" height="24" alt="" /><b>{t("product")}</b><span class="grow" />
        {board && <span class="muted small">{stamp(board.at).slice(5)}</span>}
        <a class="ghost" href="/wall" aria-label={t("console.wall")} title={t("console.wall")}><Icon name="map" size={20} /></a>
        <button class="ghost" aria-label={t(theme.value === "night" ? "theme.day" : "theme.night")} onClick={() => setTheme(theme.value === "night" ? "day" : "night", "board")}><Icon name={theme.value === "night" ? "sun" : "moon"} size={20} /></button>
        <button class="ghost" lang={lang.value === "en" ? "zh-CN" : "en"} onClick={() => setLang(lang.value === "en" ? "zh-CN" : "en")} aria-label={t("lang.switch")}><Icon name="languages" size={20} /></button>
        <button class="ghost" aria-label={t("signout")} onClick={() => void signOut()}><Icon name="log-out" size={20} /></button>
      </header>
      <BoardTabs list={layouts} now={layout.key} pick={(key) => { setTopic(key); setListed(null); }} />
      {why && <p class="bad why" role="alert">{t("error.load", { why })}</p>}
      <main aria-busy={!board}>{!board && !declared && !why && <p class="muted none">{t("panel.wait")}</p>}{listed ? <List listed={listed} close={() => setListed(null)} /> : (board || declared) && <BoardBody b={board} layout={layout} indicators={declared} hooks={{ open: (kind) => void events(kind, layout.topic, categories).then(setListed, failed), district: districts, indicator: (one) => void behind(one).then(setListed, failed) }} />}</main>
      {generated && <p class="generated muted small">{t("generated")}</p>}
    </div>
  );
}

async function start(): Promise<void> {
  startTheme("board", "day");
  const config = await get<Config>("/api/v1/config");
  startLang(config.lang);
  const [session, categories, layouts] = await Promise.all([mustSession<Session>(), get<Category[]>("/api/v1/categories").catch(() => []), readLayouts()]);
  render(<Page session={session} categories={categories} layouts={layouts} generated={config.generated ? "1" : ""} />, document.getElementById("app")!);
}

start().catch((why: Error) => {
  const p = document.createElement("p");
  p.className = "fatal";
  p.textContent = t("error.load", { why: why.message });
  document.getElementById("app")!.append(p);
});
