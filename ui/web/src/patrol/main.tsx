/** The crew's phone: tasks and their map, every deed kept until it is delivered. */
import { render } from "preact";
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import "../common/base.css";
import "./patrol.css";
import { ActionForm } from "../common/actionform";
import { Called } from "../common/called";
import { get, mustSession, Problem, signOut } from "../common/api";
import { km, span, when, called } from "../common/format";
import { Icon, Mark } from "../common/icon";
import { lang, setLang, startLang, t, tt, type Key } from "../common/i18n";
import { setTheme, startTheme, theme } from "../common/theme";
import type { Action, Config, Event, LonLat, Session } from "../common/types";
import { createMap, Live, liveAtlas, pydeckLayers, rgba, ScatterplotLayer, type DeckJson, type TwinMap } from "../mapkit";
import { add, discard, flush, jobs, keep, kept, load, sending } from "./queue";
import { shrink, size } from "./photo";
import { placed } from "../common/places";

interface Tasks { crew: { code: string; name: string; point: LonLat | null } | null; tasks: Event[]; asked?: Event[] }

const config = signal<Config>(null as never);
const session = signal<Session>(null as never);
const tasks = signal<Tasks>({ crew: null, tasks: [] });
const keptAt = signal<number | null>(null);
const online = signal(navigator.onLine);
const current = signal<string | null>(null);
const here = signal<LonLat | null>(null);
const following = signal(false);
const clock = signal(Date.now());
let twin: TwinMap | null = null;

function distance(a: LonLat, b: LonLat): { m: number; dir: number } {
  const k = Math.cos((a[1] * Math.PI) / 180);
  const [dx, dy] = [(b[0] - a[0]) * 111_320 * k, (b[1] - a[1]) * 110_574];
  return { m: Math.hypot(dx, dy), dir: Math.round(((Math.atan2(dx, dy) * 180) / Math.PI + 360) / 45) % 8 };
}

/** A task as it will stand once what waits in the queue has been delivered. */
function waiting(ev: Event): string | null {
  const own = jobs.value.filter((j) => j.event === ev.id && !j.refused);
  return own.length ? own[own.length - 1]!.action : null;
}

async function refresh(): Promise<void> {
  try {
    const got = await get<Tasks>("/api/v1/tasks");
    // Where the crew stands: its card knows; an own position from the browser goes before it.
    if (got.crew && !got.crew.point) got.crew.point = tasks.value.crew?.point ?? (await get<{ point: LonLat | null }>(`/api/v1/things/${got.crew.code}`).then((c) => c.point, () => null));
    tasks.value = got;
    keptAt.value = null;
    online.value = true;
    await keep("tasks", { at: Date.now(), tasks: tasks.value, session: session.value, config: config.value });
  } catch (why) {
    if (why instanceof Problem) return;
    online.value = false;
    const old = await kept<{ at: number; tasks: Tasks }>("tasks");
    // What is on the screen is at least as new as what was kept: an open form must not lose its task.
    if (old && !tasks.value.tasks.length) {
      tasks.value = old.tasks;
      keptAt.value = old.at;
    }
  }
  if (online.value && current.value && !tasks.value.tasks.some((e) => e.id === current.value)) current.value = null;
  draw();
}

async function deliver(): Promise<void> {
  await flush((ev) => {
    tasks.value = { ...tasks.value, tasks: tasks.value.tasks.map((old) => (old.id === ev.id ? ev : old)) };
  });
  await refresh();
}

async function act(ev: Event, action: string, params: Record<string, unknown> = {}, photos: Blob[] = []): Promise<void> {
  await add(ev, action, params, photos);
  void deliver();
}

/** Where the phone is just now: evidence of having been there. Without a fix the deed goes without one. */
function fix(): Promise<{ position?: LonLat }> {
  return new Promise((done) => {
    if (!("geolocation" in navigator)) return done({});
    // A fix of a kilometre proves nothing and would only be refused.
    navigator.geolocation.getCurrentPosition((at) => done(at.coords.accuracy <= 60 ? { position: [at.coords.longitude, at.coords.latitude] } : {}), () => done({}), { enableHighAccuracy: true, maximumAge: 30_000, timeout: 4_000 });
  });
}

let eventJson: DeckJson | null = null;

function draw(): void {
  if (!twin || !eventJson) return;
  const atlas = liveAtlas(theme.value);
  const shown = tasks.value.tasks.filter((e) => e.point);
  const one = shown.find((e) => e.id === current.value);
  const ink = rgba(theme.value, "selected");
  const mine = here.value ?? tasks.value.crew?.point ?? null;
  twin.setGroup("events", pydeckLayers(eventJson, {
    events: {
      data: shown, iconAtlas: atlas.atlas, iconMapping: atlas.mapping, getSize: 38, getPosition: (e: Event) => e.point,
      getIcon: (e: Event) => `e${e.severity}-${e.stage >= 5 ? "verify" : e.stage >= 4 ? "hand" : "new"}${e.late ? "-late" : ""}`, updateTriggers: { getIcon: theme.value },
    },
  }));
  twin.setGroup("mine", [
    new ScatterplotLayer({ id: "chosen", data: one?.point ? [one.point] : [], getPosition: (d: LonLat) => d, radiusUnits: "pixels", getRadius: 26, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: 3, getLineColor: ink }),
    new ScatterplotLayer({ id: "me", data: mine ? [mine] : [], getPosition: (d: LonLat) => d, radiusUnits: "pixels", getRadius: 9, stroked: true, filled: true, getFillColor: rgba(theme.value, "mine"), lineWidthUnits: "pixels", getLineWidth: 3, getLineColor: rgba(theme.value, "halo") }),
  ]);
}

function show(ev: Event | null): void {
  current.value = ev?.id ?? null;
  draw();
  const points = (ev ? [ev] : tasks.value.tasks).flatMap((e) => (e.point ? [e.point] : []));
  const mine = here.value ?? tasks.value.crew?.point;
  if (mine && (ev || points.length)) points.push(mine);
  if (!points.length || !twin) return;
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  twin.map.fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], { padding: { top: 70, bottom: 40, left: 50, right: 50 }, maxZoom: 15.5, duration: 300 });
}

function Status() {
  const n = jobs.value.length;
  return (
    <header class="status">
      <span class={online.value ? "net" : "net off"}><Icon name={online.value ? "wifi" : "wifi-off"} size={18} />{t(online.value ? "patrol.online" : "patrol.offline")}</span>
      <span class={n ? "queue some" : "queue"} role="status"><Icon name={n ? "cloud-upload" : "check"} size={18} />{n ? t(sending.value ? "patrol.sending" : "patrol.queue", { n }) : t("patrol.queue.none")}</span>
      <span class="grow" />
      <button aria-label={t("lang.switch")} onClick={() => setLang(lang.value === "en" ? "zh-CN" : "en")}><Icon name="languages" size={20} /></button>
      <button aria-label={t(theme.value === "night" ? "theme.day" : "theme.night")} onClick={() => { setTheme(theme.value === "night" ? "day" : "night", "patrol"); twin?.setTheme(theme.value, lang.value); draw(); }}><Icon name={theme.value === "night" ? "sun" : "moon"} size={20} /></button>
      <button aria-label={t("signout")} onClick={() => void signOut()}><Icon name="log-out" size={20} /></button>
    </header>
  );
}

function Clock({ ev }: { ev: Event }) {
  void clock.value;
  if (!ev.due_at || ev.stage >= 5) return <span class="muted">{tt(ev.state_title)}</span>;
  const left = (Date.parse(ev.due_at) - Date.now()) / 1000;
  return left < 0 ? <span class="tag late">{t("event.late", { s: span(-left) })}</span> : <span class="muted">{t("event.due", { s: span(left) })}</span>;
}

/** What somebody wants to know of an own report; the answer waits in the queue like every deed. */
function Asked() {
  const [open, setOpen] = useState<string | null>(null);
  const list = (tasks.value.asked ?? []).filter((ev) => !waiting(ev));
  if (!list.length) return null;
  return (
    <section class="asked">
      <h2>{t("patrol.asked")}<b>{list.length}</b></h2>
      {list.map((ev) => {
        const may = ev.actions?.find((a) => a.action === "supply");
        return (
          <div key={ev.id} class="kept" data-asked={ev.code}><div class="grow"><b>{called(ev)}</b><p>{ev.asked}</p>
            {open === ev.id && may ? <ActionForm action={may} onCancel={() => setOpen(null)} onSend={async (params) => { await act(ev, "supply", params); return true; }} />
              : <button class="btn main" disabled={!may} onClick={() => setOpen(ev.id)}>{t("patrol.asked.answer")}</button>}</div></div>
        );
      })}
    </section>
  );
}

function List() {
  const list = tasks.value.tasks;
  if (!tasks.value.crew && !list.length && !tasks.value.asked?.length) return <p class="empty muted">{t(session.value.crew ? "patrol.none" : "patrol.nocrew")}</p>;
  return (
    <>
      <h2>{t("patrol.tasks")}<b>{list.length}</b><span class="muted cut">{tasks.value.crew?.name}</span></h2>
      <Asked />
      {!list.length && <p class="empty muted">{t("patrol.none")}</p>}
      <ul class="tasks">
        {list.map((ev) => {
          const mine = here.value ?? tasks.value.crew?.point;
          return (
            <li key={ev.id}><button data-code={ev.code} onClick={() => show(ev)}>
              <Mark level={ev.severity} size={18} filled={ev.stage < 4} />
              <span class="grow"><span class="line"><b class="cut">{called(ev)}</b><Clock ev={ev} /></span>
                <span class="line muted"><span class="cut">{placed(ev.street_name) ?? ev.address ?? placed(ev.district_name)}</span><span>{waiting(ev) ? t("patrol.waiting") : ev.point && mine ? km(distance(mine, ev.point).m) : tt(ev.state_title)}</span></span></span>
              <Icon name="chevron-right" size={20} />
            </button></li>
          );
        })}
      </ul>
    </>
  );
}

function Refused() {
  return <>{jobs.value.filter((j) => j.refused).map((j) => <div class="refused" role="alert"><span class="grow">{j.code} {t("patrol.refused", { why: j.refused! })}</span><button class="btn" onClick={() => void discard(j.key)}>{t("patrol.discard")}</button></div>)}</>;
}

interface Shot { blob: Blob; url: string; from: number }

function Finish({ ev, back }: { ev: Event; back(): void }) {
  const [note, setNote] = useState("");
  const [shots, setShots] = useState<Shot[]>([]);
  const pick = async (e: InputEvent) => {
    for (const file of [...((e.currentTarget as HTMLInputElement).files ?? [])]) {
      const blob = await shrink(file);
      setShots((old) => [...old, { blob, url: URL.createObjectURL(blob), from: file.size }]);
    }
  };
  // Looked for while the photo is taken; without one the result needs a reason and a second review.
  const [at, setAt] = useState<{ position?: LonLat } | null>(null);
  const [why, setWhy] = useState("");
  useEffect(() => { void fix().then(setAt); }, []);
  const placed = !!at?.position;
  const send = async () => {
    const now = placed ? await fix() : {};
    await act(ev, "finish", { note, ...(now.position ? now : placed ? at! : { no_position: why.trim() }) }, shots.map((x) => x.blob));
    back();
  };
  return (
    <div class="finish">
      <div class="shots">
        {shots.map((x) => <figure><img src={x.url} alt="" /><figcaption class="small muted">{t("patrol.photo.size", { a: size(x.from), b: size(x.blob.size) })}</figcaption></figure>)}
        <label class="shoot"><Icon name="camera" size={26} />{t(shots.length ? "patrol.photo.again" : "patrol.photo")}<input class="sr" type="file" accept="image/*" capture="environment" onInput={pick} /></label>
      </div>
      <label class="field"><span>{t("patrol.note")}</span><textarea rows={2} placeholder={t("patrol.note.hint")} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
      {placed || !at ? <p class="muted small" role="status"><Icon name="map-pin" size={16} /> {t(at ? "patrol.fixed" : "patrol.fixing")}</p>
        : <label class="field"><span>{t("patrol.nofix.why")}</span><input name="no_position" maxLength={200} placeholder={t("patrol.nofix")} value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>}
      {!shots.length && <p class="muted small">{t("patrol.needphoto")}</p>}
      <div class="bottom"><button class="btn" onClick={back}>{t("action.cancel")}</button><button class="btn main" data-action="finish" disabled={!shots.length || !note.trim() || !at || (!placed && why.trim().length < 2)} onClick={() => void send()}>{t("patrol.send")}</button></div>
    </div>
  );
}

function Return({ ev, back }: { ev: Event; back(): void }) {
  const [reason, setReason] = useState("");
  return (
    <div class="finish">
      <label class="field"><span>{t("patrol.reason")}</span><textarea rows={3} autofocus value={reason} onInput={(e) => setReason(e.currentTarget.value)} /></label>
      <div class="bottom"><button class="btn" onClick={back}>{t("action.cancel")}</button><button class="btn main" disabled={!reason.trim()} onClick={() => void act(ev, "return", { reason }).then(back)}>{t("patrol.send")}</button></div>
    </div>
  );
}

const NEXT = ["accept", "arrive", "finish"];

function Task({ ev }: { ev: Event }) {
  const [form, setForm] = useState<"finish" | "return" | Action | null>(null);
  const pending = waiting(ev);
  const may = (action: string): Action | undefined => ev.actions?.find((a) => a.action === action);
  // Offline the next step follows from what waits in the queue: after accepting one may finish.
  const steps = pending === "accept" || pending === "arrive" ? ["finish"] : pending ? [] : NEXT.filter((a) => may(a));
  const mine = here.value ?? tasks.value.crew?.point;
  const way = mine && ev.point ? distance(mine, ev.point) : null;
  if (form === "finish") return <Finish ev={ev} back={() => setForm(null)} />;
  if (form === "return") return <Return ev={ev} back={() => setForm(null)} />;
  if (form) return <div class="finish"><ActionForm action={form} onCancel={() => setForm(null)} onSend={async (params) => { await act(ev, form.action, params); return true; }} /></div>;
  return (
    <article class="task">
      <header><button aria-label={t("patrol.back")} onClick={() => show(null)}><Icon name="chevron-left" size={24} /></button><Mark level={ev.severity} size={20} /><h2 class="grow cut">{called(ev)}</h2><Clock ev={ev} /></header>
      <div class="body">
        <p class="where"><Icon name="map-pin" size={18} />{[placed(ev.district_name), placed(ev.street_name), ev.address].filter(Boolean).join(" ")}</p>
        {way && <p class="where muted"><Icon name="navigation" size={18} />{t("patrol.bearing", { dir: t(`dir.${way.dir}` as Key), d: km(way.m) })}</p>}
        {ev.description && <p>{ev.description}</p>}
        {!!ev.photos?.length && <ul class="photos">{ev.photos.map((p) => <li><img src={p.thumb || p.url} alt={t("event.photos")} /></li>)}</ul>}
        {!pending && <p class="more">{["use", "ask_delay"].flatMap((name) => may(name) ?? []).map((a) => <button class="btn" data-action={a.action} onClick={() => setForm(a)}>{tt(a.title)}</button>)}</p>}
        {pending && <p class="kept"><Icon name="cloud-upload" size={18} />{t("patrol.queue.kept")}</p>}
        {ev.stage >= 5 && !pending && <p class="kept"><Icon name="check-check" size={18} />{t("patrol.done")}</p>}
      </div>
      <div class="bottom">
        {may("return") && !pending && <button class="btn" onClick={() => setForm("return")}>{t("patrol.return")}</button>}
        {ev.point && <a class="btn" href={`geo:${ev.point[1]},${ev.point[0]}?q=${ev.point[1]},${ev.point[0]}`}><Icon name="navigation" size={20} />{t("patrol.navigate")}</a>}
        {steps.map((a, i) => <button class={i === 0 || a === "finish" ? "btn main" : "btn"} data-action={a} onClick={() => (a === "finish" ? setForm("finish") : a === "arrive" ? void fix().then((at) => act(ev, a, at)) : void act(ev, a))}>{t(`patrol.${a}` as Key)}</button>)}
      </div>
    </article>
  );
}

let watch = 0;
function locate(): void {
  if (following.value) {
    navigator.geolocation.clearWatch(watch);
    following.value = false;
    return;
  }
  watch = navigator.geolocation.watchPosition((at) => {
    following.value = true;
    here.value = [at.coords.longitude, at.coords.latitude];
    draw();
  }, () => (following.value = false), { enableHighAccuracy: true, maximumAge: 5000 });
}

function Patrol() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    twin = createMap({ container: box.current!, theme: theme.value, lang: lang.value, center: tasks.value.crew?.point ?? config.value.center, zoom: 13 });
    // A task opened before the map was ready stays open.
    twin.map.once("load", () => show(tasks.value.tasks.find((e) => e.id === current.value) ?? null));
    twin.map.on("click", (e) => {
      const hit = twin!.pick(e.point.x, e.point.y, ["events"]);
      if (hit?.object) show(hit.object as Event);
    });
    (window as unknown as { twin: unknown }).twin = { map: twin.map, tasks, jobs };
    void get<DeckJson>("/layers/events").then((j) => { eventJson = j; draw(); }, () => undefined);
    let soon = 0;
    new Live({ entry: (e) => { if (e.event) { clearTimeout(soon); soon = window.setTimeout(() => void refresh(), 150); } }, state: (open) => { online.value = open || navigator.onLine; if (open) void deliver(); } });
    const wake = () => { online.value = navigator.onLine; if (navigator.onLine && document.visibilityState === "visible") void deliver(); };
    for (const name of ["online", "offline"]) addEventListener(name, wake);
    document.addEventListener("visibilitychange", wake);
    setInterval(() => (clock.value = Date.now()), 10_000);
    setInterval(wake, 20_000);
    void deliver();
  }, []);
  const ev = tasks.value.tasks.find((e) => e.id === current.value);
  return (
    <div class="patrol" lang={lang.value}>
      <Status />
      <main class="map" ref={box} aria-label={t("map.label")} />
      <button class={following.value ? "locate on" : "locate"} aria-label={t("patrol.position")} aria-pressed={following.value} onClick={locate}><Icon name="crosshair" size={22} /></button>
      {config.value.generated && <p class="generated">{t("generated")}</p>}
      <section class="sheet">
        <Called tell={() => undefined} />
        <Refused />
        {keptAt.value !== null && <p class="kept"><Icon name="wifi-off" size={18} />{t("patrol.kept", { t: when(keptAt.value) })}</p>}
        {ev ? <Task key={ev.id} ev={ev} /> : <List />}
      </section>
    </div>
  );
}

async function start(): Promise<void> {
  const hour = new Date().getHours();
  startTheme("patrol", hour >= 6 && hour < 18 ? "day" : "night");
  await load();
  try {
    config.value = await get<Config>("/api/v1/config");
    session.value = await mustSession<Session>();
  } catch (why) {
    const old = await kept<{ at: number; tasks: Tasks; session: Session; config: Config }>("tasks");
    if (!old || why instanceof Problem) throw why;
    [config.value, session.value, tasks.value, keptAt.value, online.value] = [old.config, old.session, old.tasks, old.at, false];
  }
  startLang(config.value.lang);
  document.title = t("patrol.title");
  if (online.value) await refresh();
  render(<Patrol />, document.getElementById("app")!);
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/sw.js").catch(() => undefined);
}

start().catch((why: Error) => {
  document.getElementById("app")!.textContent = t("error.load", { why: why.message });
});
