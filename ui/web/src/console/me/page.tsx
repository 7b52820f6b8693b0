/** One's own account: password, second factor, and the places where one is logged in. */
import { useEffect, useState } from "preact/hooks";
import { get, post, Problem, send } from "../../common/api";
import { stamp, when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import type { Session } from "../../common/types";
import type { OwnSession } from "../accounts/types";
import zh from "../../../locales/zh-CN.json";
import { Head } from "../parts/head";
import { strong, Strong } from "../parts/strong";
import * as s from "../state";
import "../accounts/accounts.css";
import "./me.css";

const again = async () => { s.session.value = await get<Session>("/api/v1/session"); };

/** The rule that a password broke, in the reader's language. */
function sentence(why: unknown): string {
  const key = why instanceof Problem ? `me.rule.${why.reason}` : "";
  return key in zh ? t(key as Key) : (why as Error).message;
}

function Password() {
  const me = s.session.value;
  const [why, setWhy] = useState("");
  const change = async (e: SubmitEvent) => {
    e.preventDefault();
    const at = e.currentTarget as HTMLFormElement;
    const form = new FormData(at);
    if (form.get("new") !== form.get("repeat")) { setWhy(t("me.repeat.wrong")); return; }
    try {
      s.session.value = await post<Session>("/api/v1/session/password", { old: form.get("old"), new: form.get("new") });
      await again();
      at.reset();
      setWhy("");
      s.tell(t("me.password.done"));
    } catch (e2) {
      setWhy(sentence(e2));
    }
  };
  return (
    <section>
      <h2>{t("login.password")}</h2>
      <p class="muted">{me.first === "password" ? t("me.password.first") : t("me.password.until", { at: me.password_until ? stamp(me.password_until).slice(0, 10) : "–" })}</p>
      <form class="form" onSubmit={change}>
        <input type="text" name="user" value={me.user} autocomplete="username" hidden readOnly />
        <label class="field"><span>{t("me.old")}</span><input type="password" name="old" required autocomplete="current-password" maxLength={256} /></label>
        <label class="field"><span>{t("me.new")}</span><input type="password" name="new" required autocomplete="new-password" minLength={10} maxLength={256} aria-describedby="me-rules" /></label>
        <label class="field"><span>{t("me.repeat")}</span><input type="password" name="repeat" required autocomplete="new-password" maxLength={256} /></label>
        <p id="me-rules" class="muted small">{t("me.rules")}</p>
        {why && <p class="wrong" role="alert">{why}</p>}
        <div class="ends"><button class="btn main">{t("me.password.change")}</button></div>
      </form>
    </section>
  );
}

function Factor() {
  const me = s.session.value;
  const [begun, setBegun] = useState<{ secret: string; picture: string } | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [why, setWhy] = useState("");
  const tried = async (does: () => Promise<void>) => { try { setWhy(""); await does(); } catch (e) { setWhy((e as Error).message); } };
  const confirm = (e: SubmitEvent) => {
    e.preventDefault();
    const code = String(new FormData(e.currentTarget as HTMLFormElement).get("code")).replace(/\s/g, "");
    void tried(async () => { setCodes((await send<{ recovery: string[] }>("PUT", "/api/v1/session/totp", { code })).recovery); setBegun(null); await again(); });
  };
  return (
    <section>
      <h2>{t("acc.factor")}{me.second_factor && <span class="yes"><Icon name="shield-check" />{t("acc.factor.on")}</span>}</h2>
      <p class="muted">{t(me.first === "totp" ? "me.factor.first" : "me.factor.about")}</p>
      {codes && <div class="codes" role="status"><p>{t("me.recovery")}</p><ul>{codes.map((c) => <li><code>{c}</code></li>)}</ul><div class="ends"><button class="btn" onClick={() => void navigator.clipboard?.writeText(codes.join("\n"))}><Icon name="copy" />{t("acc.copy")}</button><button class="btn main" onClick={() => setCodes(null)}>{t("acc.noted")}</button></div></div>}
      {begun && (
        <form class="form scan" onSubmit={confirm}>
          <div class="qr" role="img" aria-label={t("me.factor.picture")} dangerouslySetInnerHTML={{ __html: begun.picture }} />
          <div class="form"><p>{t("me.factor.scan")}</p><p><code>{begun.secret.match(/.{1,4}/g)!.join(" ")}</code></p>
            <label class="field"><span>{t("me.factor.code")}</span><input name="code" inputMode="numeric" autocomplete="one-time-code" required maxLength={8} ref={(e) => e?.focus()} /></label>
            <div class="ends"><button type="button" class="btn" onClick={() => setBegun(null)}>{t("acc.cancel")}</button><button class="btn main">{t("me.factor.confirm")}</button></div></div>
        </form>
      )}
      {why && <p class="wrong" role="alert">{why}</p>}
      {!begun && !codes && (me.second_factor
        ? <p class="line"><span class="muted grow">{t("me.recovery.left", { n: me.recovery_left })}</span><button class="btn bad" onClick={() => tried(async () => { await strong(() => send("DELETE", "/api/v1/session/totp")); await again(); })}>{t("acc.factor.remove")}</button></p>
        : <div class="ends"><button class="btn" onClick={() => tried(async () => setBegun(await post("/api/v1/session/totp", {})))}>{t("me.factor.begin")}</button></div>)}
    </section>
  );
}

function Sessions() {
  const [rows, setRows] = useState<OwnSession[]>([]);
  const read = () => get<{ sessions: OwnSession[] }>("/api/v1/sessions").then((r) => setRows(r.sessions), () => undefined);
  useEffect(() => { void read(); }, []);
  const end = async (path: string) => { try { await send("DELETE", path); s.tell(t("me.sessions.ended")); } catch (e) { s.tell((e as Error).message, true); } await read(); };
  return (
    <section class="broad">
      <h2>{t("acc.sessions")}</h2>
      <p class="line"><span class="muted grow">{t("me.sessions.about")}</span>{rows.length > 1 && <button class="btn" onClick={() => end("/api/v1/sessions")}>{t("me.sessions.others")}</button>}</p>
      <ul class="sessions">{rows.map((r) => (
        <li><Icon name={r.bearer ? "send" : "panel-top"} size={18} /><span class="grow"><b>{r.bearer ? r.label || t("me.token") : browser(r.agent)}</b>{r.this && <span class="tag">{t("me.this")}</span>}
          <span class="muted small">{[r.address, t("me.since", { at: stamp(r.created_at) }), t("me.seen", { at: when(r.seen_at) }), r.bearer && t("me.until", { at: stamp(r.expires_at) })].filter(Boolean).join(" · ")}</span></span>
          {!r.this && <button class="btn" onClick={() => end(`/api/v1/sessions/${r.id}`)}>{t("me.session.end")}</button>}</li>
      ))}</ul>
    </section>
  );
}

function browser(agent: string | null): string {
  const name = /(Edg|Firefox|OPR|Chrome|Safari)\//.exec(agent ?? "")?.[1];
  const on = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent ?? "")?.[1];
  return [name === "Edg" ? "Edge" : name, on].filter(Boolean).join(" · ") || agent?.slice(0, 40) || "–";
}

export default function MePage() {
  const me = s.session.value;
  const place = me.organisation ? tt(me.organisation.name) : t("acc.sees.city");
  return (
    <div class="page me">
      <Head title={tt(me.name) || me.user} about={[me.user, me.role_titles.map(tt).join(t("acc.comma")), place].filter(Boolean).join(" · ")} />
      <div class="cols"><Password />{me.first !== "password" && <Factor />}{!me.first && <Sessions />}</div>
      <Strong />
    </div>
  );
}
