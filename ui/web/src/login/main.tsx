/** The log-in page of the wall and of the phone. */
import { render } from "preact";
import { useState } from "preact/hooks";
import "../common/base.css";
import "./login.css";
import { get, post, Problem } from "../common/api";
import { lang, setLang, startLang, t, tt } from "../common/i18n";
import { startTheme } from "../common/theme";
import type { Config, Session } from "../common/types";

function nextPage(who: Session): string {
  if (who.first) return "/console/me";
  const asked = new URLSearchParams(location.search).get("next");
  if (asked && /^\/[a-z]/.test(asked)) return asked;
  return who.crew ? "/patrol" : "/wall";
}

/** Contour lines of an invented shore: the only ornament, drawn from the ground's own colours. */
function Shore() {
  const lines = Array.from({ length: 15 }, (_, i) => {
    const y = 110 + i * 42;
    return `M-40 ${y + 40}C ${240 + i * 9} ${y - 70 - i * 5}, ${420 - i * 12} ${y + 130}, ${700 + i * 6} ${y + 10} S ${1120 + i * 14} ${y - 120 + i * 11}, 1680 ${y - 30 + i * 4}`;
  });
  return (
    <svg class="shore" viewBox="0 0 1600 800" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <path class="river" d="M-20 640C 260 520 380 700 640 590 S 900 330 1060 420 1240 700 1640 560" />
      {lines.map((d) => <path d={d} />)}
    </svg>
  );
}

function Login({ config }: { config: Config | null }) {
  const sso = new URLSearchParams(location.search).get("sso");
  const [why, setWhy] = useState<string | null>(sso && (sso === "no_grant" ? t("login.sso.nobody") : t("login.sso.failed")));
  const [busy, setBusy] = useState(false);
  const [asksCode, setAsksCode] = useState(false);
  const enter = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    setBusy(true);
    setWhy(null);
    try {
      const code = String(form.get("code") ?? "").trim();
      const said = { user: String(form.get("user")).trim(), password: String(form.get("password")), ...(code ? { code } : {}) };
      const who = await post<Session>("/api/v1/session", said);
      location.href = nextPage(who);
    } catch (e2) {
      setBusy(false);
      const problem = e2 instanceof Problem ? e2 : null;
      if (problem?.code === "code_needed") { setAsksCode(true); return; }
      const known = { locked: t("login.locked"), code: t("login.code.wrong"), altered: t("login.altered") }[problem?.reason ?? ""];
      setWhy(known ?? (problem?.status === 401 ? t("login.wrong") : (e2 as Error).message));
    }
  };
  return (
    <div class="login" key={lang.value}>
      <Shore />
      <main>
        <h1><img src="/ui/icon.svg" width="44" height="44" alt="" />{config ? tt(config.product) : t("product")}</h1>
        <p class="tagline muted">{t("login.tagline")}</p>
        <form onSubmit={enter} aria-label={t("login.title")}>
          <label class="field"><span>{t("login.user")}</span><input name="user" autocomplete="username" autocapitalize="none" required autofocus /></label>
          <label class="field"><span>{t("login.password")}</span><input name="password" type="password" autocomplete="current-password" required /></label>
          {asksCode && <label class="field"><span>{t("login.code")}</span><input name="code" autocomplete="one-time-code" inputMode="numeric" maxLength={32} required ref={(e) => e?.focus()} /></label>}
          {why && <p class="why" role="alert">{why}</p>}
          <button class="btn main" disabled={busy}>{busy ? t("login.entering") : t("login.enter")}</button>
        </form>
        {config?.single_sign_on && <a class="btn sso" href={`/api/v1/sign-in?next=${encodeURIComponent(new URLSearchParams(location.search).get("next") ?? "/wall")}`}>{t("login.sso", { house: tt(config.single_sign_on.title) })}</a>}
        {config?.demo && <p class="demo muted small">{t("login.demo")} <code>$TWIN_HOME/secrets/demo-logins</code></p>}
      </main>
      <footer class="muted small">
        {config?.generated && <span>{t("generated")}</span>}
        {config?.insecure && <span>{t("insecure")}</span>}
        <button onClick={() => setLang(lang.value === "en" ? "zh-CN" : "en")}>{t("lang.switch")}</button>
        {config && <span>{config.version}</span>}
      </footer>
    </div>
  );
}

startTheme("login", matchMedia("(prefers-color-scheme: light)").matches ? "day" : "night");
get<Config>("/api/v1/config").catch(() => null).then((config) => {
  startLang(config?.lang ?? "zh-CN");
  render(<Login config={config} />, document.getElementById("app")!);
});
