/** The console of data officers: navigation on the left, one page at a time. */
import { render, type ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import "../common/base.css";
import "./console.css";
import { get, mustSession, signOut } from "../common/api";
import { Icon } from "../common/icon";
import { lang, setLang, startLang, t, tt } from "../common/i18n";
import { setTheme, startTheme, theme } from "../common/theme";
import type { Config, Session } from "../common/types";
import { watermark } from "../mapkit";
import { pages, type Page } from "./pages";
import * as s from "./state";

const loaded = new Map<string, ComponentType>();

/** The pages of who looks; who must first change the password sees their own account alone. */
function mine(): Page[] {
  const { acts, first } = s.session.value;
  return pages.filter((p) => (first ? p.path === "me" : !p.act || acts.includes(p.act)));
}

function current(): Page {
  const first = s.path.value.split("/")[0];
  const asked = pages.find((p) => p.path === first);
  return asked && !s.session.value.first ? asked : mine()[0]!;
}

/** A page that exists and is not for this account: said, with whom to ask, instead of another page. */
function Closed({ page }: { page: Page }) {
  useEffect(() => { document.title = `${t(page.title)} · ${t("product")}`; }, [page, lang.value]);
  return <p class="fatal" role="alert">{t("console.closed", { page: t(page.title), act: page.act ?? "" })}</p>;
}

function Nav() {
  const who = s.session.value;
  const night = theme.value === "night";
  return (
    <nav class="nav" aria-label={t("console.nav")}>
      <a class="brand" href="/wall" title={t("console.wall")}><img src="/ui/icon.svg" width="24" height="24" alt="" />{t("product")}</a>
      <p class="scope muted small">{t("console.title")}</p>
      <ul>
        {mine().map((p, i) => (
          <li>
            <a href={`/console/${p.path}`} accessKey={String(i + 1)} aria-current={p === current() ? "page" : undefined}
              onClick={(e) => { if (e.metaKey || e.ctrlKey || e.button) return; e.preventDefault(); s.go(p.path); }}>
              <Icon name={p.icon} size={18} />{t(p.title)}
            </a>
          </li>
        ))}
      </ul>
      <div class="foot">
        <a href="/wall"><Icon name="map" size={18} />{t("console.wall")}</a>
        <div class="who"><Icon name="user" size={18} /><span class="grow cut" title={tt(who.organisation?.name)}>{tt(who.name) || who.user}</span>
          <button class="ghost" aria-label={t("signout")} title={t("signout")} onClick={() => void signOut()}><Icon name="log-out" size={18} /></button>
        </div>
        <div class="switches">
          <button class="ghost wide" lang={lang.value === "en" ? "zh-CN" : "en"} onClick={() => setLang(lang.value === "en" ? "zh-CN" : "en")}><Icon name="languages" size={18} />{t("lang.switch")}</button>
          <button class="ghost" aria-label={t(night ? "theme.day" : "theme.night")} title={t(night ? "theme.day" : "theme.night")} onClick={() => setTheme(night ? "day" : "night", "console")}><Icon name={night ? "sun" : "moon"} size={18} /></button>
        </div>
      </div>
    </nav>
  );
}

function Main({ page }: { page: Page }) {
  const [, redraw] = useState(0);
  const [why, setWhy] = useState<string | null>(null);
  const Shown = loaded.get(page.path);
  useEffect(() => {
    setWhy(null);
    if (!loaded.has(page.path))
      page.load().then((m) => { loaded.set(page.path, m.default); redraw((n) => n + 1); }, (e: Error) => setWhy(e.message));
    document.title = `${t(page.title)} · ${t("product")}`;
  }, [page, lang.value]);
  if (why) return <p class="fatal" role="alert">{t("error.load", { why })}</p>;
  return Shown ? <Shown /> : null;
}

function Console() {
  useEffect(() => watermark(document.body, `${s.session.value.user} ${tt(s.session.value.name)}`), []);
  const said = s.notice.value;
  return (
    <div class="console" lang={lang.value}>
      <a class="skip" href="#main">{t("console.skip")}</a>
      <Nav />
      <main id="main" tabIndex={-1}>{mine().includes(current()) ? <Main page={current()} /> : <Closed page={current()} />}</main>
      <div class="said" role={said?.bad ? "alert" : "status"} aria-live="polite">{said && <p class={said.bad ? "bad" : ""}>{said.text}<button class="ghost" aria-label={t("event.close.card")} onClick={() => (s.notice.value = null)}><Icon name="x" /></button></p>}</div>
      {(s.config.value.insecure || s.config.value.generated) && <p class="marks small">{s.config.value.insecure && <b>{t("insecure")}</b>}{s.config.value.generated && <span title={tt(s.config.value.generated)}>{t("generated")}</span>}</p>}
    </div>
  );
}

async function start(): Promise<void> {
  startTheme("console", "day");
  s.config.value = await get<Config>("/api/v1/config");
  startLang(s.config.value.lang);
  s.session.value = await mustSession<Session>();
  render(<Console />, document.getElementById("app")!);
}

start().catch((why: Error) => {
  const p = document.createElement("p");
  p.className = "fatal";
  p.textContent = t("error.load", { why: why.message });
  document.getElementById("app")!.append(p);
});
