/** The top bar: name, search, time and its live dot, who is on duty, switches, user. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../common/icon";
import { get, signOut } from "../common/api";
import { fullDay, hms, num } from "../common/format";
import { lang, setLang, t, tt, type Key } from "../common/i18n";
import { setTheme, theme } from "../common/theme";
import type { Found } from "../common/types";
import { center, fitBounds, flyTo } from "./mapview";
import { ringingNow } from "./alarms";
import { setSideTab } from "./side";
import { kiosk, room, screen } from "./place";
import { standing } from "./room";
import { scene, scenes } from "./scenes";
import { copyLink } from "./screens";
import * as s from "./store";
import { layout } from "./topic";
import { placed } from "../common/places";

const KIND_ICONS: Record<string, string> = { event: "flag", park: "trees", toilet: "toilet", bin: "trash-2", vehicle: "truck", crew: "users", camera: "cctv", sensor: "gauge", district: "landmark", street: "map-pin", street_tree: "tree-deciduous", road: "route", building: "building-2", water_body: "waves", sub_compartment: "tree-pine", green_space: "leaf" };

function Search() {
  const [q, setQ] = useState("");
  const [found, setFound] = useState<Found[] | null>(null);
  const [at, setAt] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!q.trim()) return setFound(null);
    let old = false;
    const wait = setTimeout(() => {
      const view = center();
      const near = view ? `&near=${view[0].toFixed(5)},${view[1].toFixed(5)}` : "";
      get<{ results: Found[] }>(`/api/v1/search?q=${encodeURIComponent(q.trim())}&limit=8${near}`).then((r) => {
        if (!old) { setFound(r.results); setAt(0); }
      }, (why: Error) => !old && s.tell(why.message));
    }, 160);
    return () => { old = true; clearTimeout(wait); };
  }, [q]);
  const go = (hit: Found) => {
    setQ("");
    box.current?.blur();
    if (hit.kind === "event") s.openEvent(hit.code);
    else if (hit.num !== null) void s.openThing(String(hit.num)).then(() => s.thing.value?.bbox && s.thing.value.geometry?.type !== "Point" && fitBounds(s.thing.value.bbox));
    if (hit.point) flyTo(hit.point, 15.5);
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === "Escape") { e.stopPropagation(); setQ(""); box.current?.blur(); }
    if (!found?.length) return;
    if (e.key === "ArrowDown") { e.preventDefault(); setAt((at + 1) % found.length); }
    if (e.key === "ArrowUp") { e.preventDefault(); setAt((at + found.length - 1) % found.length); }
    if (e.key === "Enter") go(found[at]!);
  };
  return (
    <div class="search" role="search">
      <Icon name="search" />
      <input ref={box} id="search" type="text" role="combobox" aria-label={t("search.label")} aria-expanded={found !== null} aria-controls="search-list" aria-autocomplete="list"
        aria-activedescendant={found?.length ? `found-${at}` : undefined} autocomplete="off" placeholder={t("search.hint")} value={q} onInput={(e) => setQ(e.currentTarget.value)} onKeyDown={key} />
      <kbd>/</kbd>
      {found && (
        <ul class="found" id="search-list" role="listbox">
          {found.map((hit, i) => (
            <li id={`found-${i}`} role="option" aria-selected={i === at} class={i === at ? "on" : ""} onMouseDown={(e) => { e.preventDefault(); go(hit); }} onMouseEnter={() => setAt(i)}>
              <Icon name={KIND_ICONS[hit.kind] ?? "map-pin"} />
              <span class="grow cut">{hit.name || hit.code}</span>
              <span class="muted small cut">{[hit.matched && `${tt(hit.matched.title)} ${hit.matched.value}`, tt(hit.kind_title), placed(hit.district_name)].filter(Boolean).join(" · ")}</span>
            </li>
          ))}
          {!found.length && <li class="muted">{t("search.none", { q })}</li>}
        </ul>
      )}
    </div>
  );
}

function Clock() {
  void s.clock.value;
  const { open, heard, lag_ms } = s.live.value;
  const past = s.moment.value;
  const now = Date.now();
  // The lag is how old the newest frame was when it came, by the server's own clock; silence of the socket counts.
  const lag = now - heard < 4000 ? Math.max(0, Math.min(60, lag_ms / 1000)) : (now - heard) / 1000;
  const lost = !open || now - heard > 6000;
  return (
    <div class="clock" role="status" aria-live="off">
      <span class="muted">{fullDay(s.shownNow())}</span>
      <b>{hms(s.shownNow())}</b>
      {past !== null ? <span class="state past">{t("live.past")}</span>
        : lost ? <span class="state lost"><i />{t("live.lost")}</span>
        : <span class="state live"><i />{t("live.now")}<span class="muted small">{lag.toFixed(1)} s</span></span>}
    </div>
  );
}

export function TopBar() {
  const who = s.session.value;
  const now = scenes.value.find((one) => one.key === scene.value);
  return (
    <header class="top">
      <h1><img src="/ui/icon.svg" width="22" height="22" alt="" />{t("product")}<span class="scene">{t(`screen.${screen}` as Key)}{now ? ` · ${tt(now.title)}` : s.topic.value ? ` · ${(tt(layout()?.title) || s.topic.value)}` : ""}</span></h1>
      <Search />
      <Clock />
      <div class="right">
        {s.config.value.generated && <span class="note" title={tt(s.config.value.generated)}>{t("generated")}</span>}
        {s.config.value.insecure && <span class="note bad">{t("insecure")}</span>}
        {room && standing.value.length > 1 && <span class="muted people" title={t("screen.room", { n: standing.value.length })}><Icon name="monitor" />{standing.value.length}</span>}
        {s.session.value.acts.includes("alarm.read") && <button class={`plain bell${ringingNow() ? " rung" : ""}`} aria-label={t("alarms.ringing", { n: ringingNow() })} title={t("alarms.ringing", { n: ringingNow() })} onClick={() => setSideTab("alarms")}><Icon name="bell-ring" size={18} />{num(ringingNow())}</button>}
        <span class="muted people" title={t("people.onduty", { n: s.moverCount.value })}><Icon name="truck" />{num(s.moverCount.value)}</span>
        <button class="plain" onClick={() => setLang(lang.value === "en" ? "zh-CN" : "en")} lang={lang.value === "en" ? "zh-CN" : "en"}>{t("lang.switch")}</button>
        <button class="plain" aria-label={theme.value === "night" ? t("theme.day") : t("theme.night")} title={theme.value === "night" ? t("theme.day") : t("theme.night")} onClick={() => setTheme(theme.value === "night" ? "day" : "night", "wall")}>
          <Icon name={theme.value === "night" ? "sun" : "moon"} size={18} />
        </button>
        <button class="plain" aria-label={t("link.copy")} title={t("link.copy")} onClick={copyLink}><Icon name="link-2" size={18} /></button>
        {!kiosk && <a class="plain" href="/console" aria-label={t("nav.console")} title={t("nav.console")}><Icon name="table" size={18} /></a>}
        <span class="who"><Icon name="user" />{tt(who.name) || who.user}</span>
        {!kiosk && <button class="plain" aria-label={t("signout")} title={t("signout")} onClick={() => void signOut()}><Icon name="log-out" size={18} /></button>}
      </div>
    </header>
  );
}
