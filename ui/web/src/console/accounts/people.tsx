/** The people of a place and of those under it, and one person's account. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post, send } from "../../common/api";
import { stamp, when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { Dialog, Secret } from "../parts/dialog";
import { strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { chosen, people, place, places, read, roles, under } from "./store";
import type { OwnSession, Person } from "./types";

const words = signal("");
const secret = signal<{ title: string; value: string } | null>(null);

const roleName = (key: string): string => tt(roles.value.find((r) => r.key === key)?.title) || key;

export function State({ of: p }: { of: Person }) {
  const said: [boolean, string, string][] = [
    [!p.unaltered, "bad", t("acc.altered")], [p.disabled, "off", t("acc.disabled")], [!!p.locked_until, "warn", t("acc.locked")],
    [p.must_change, "quiet", t("acc.first")],
  ];
  return <>{said.filter(([is]) => is).map(([, look, text]) => <span class={`tag ${look}`}>{text}</span>)}</>;
}

export function People({ writes }: { writes: boolean }) {
  const [adding, setAdding] = useState(false);
  const [, , user] = s.path.value.split("/");
  const all = under(chosen.value);
  const top = !place(chosen.value)?.parent;
  const asked = words.value.toLowerCase();
  const rows = people.value.filter((p) => (top && !p.organisation) || (p.organisation && all.has(p.organisation)))
    .filter((p) => !asked || [p.user, p.name.zh, p.name.en, ...p.roles.map(roleName)].join(" ").toLowerCase().includes(asked));
  const columns: Column<Person>[] = [
    { key: "name", title: t("acc.person"), cell: (p) => <span class="person"><b>{tt(p.name)}</b><code>{p.user}</code></span> },
    { key: "roles", title: t("acc.roles"), cell: (p) => p.roles.map(roleName).join(t("acc.comma")) },
    { key: "place", title: t("acc.place"), cell: (p) => (p.organisation ? tt(place(p.organisation)?.name) : <span class="muted">{t("acc.sees.city")}</span>) },
    { key: "level", title: t("acc.clearance"), cell: (p) => `L${p.clearance}` },
    { key: "factor", title: t("acc.factor"), cell: (p) => (p.totp_confirmed ? <span class="yes"><Icon name="shield-check" />{t("acc.factor.on")}</span> : p.single_sign_on ? t("acc.sso") : <span class="muted">–</span>) },
    { key: "login", title: t("acc.login"), cell: (p) => (p.last_login_at ? <span title={stamp(p.last_login_at)}>{when(p.last_login_at)}</span> : <span class="muted">{t("acc.never")}</span>) },
    { key: "state", title: "", cell: (p) => <State of={p} /> },
  ];
  const person = people.value.find((p) => p.user === user);
  return (
    <>
      <div class="asks">
        <label class="search"><Icon name="search" /><input type="search" aria-label={t("acc.search")} placeholder={t("acc.search")} value={words.value} onInput={(e) => (words.value = e.currentTarget.value)} /></label>
        <span class="muted count" role="status">{t("acc.count", { n: rows.length })}</span>
        {writes && <button class="btn main" onClick={() => setAdding(true)}><Icon name="plus" />{t("acc.add")}</button>}
      </div>
      <Table columns={columns} rows={rows} label={t("acc.people")} empty={t("acc.nobody")} id={(p) => p.user} onOpen={(p) => s.go(`accounts/people/${p.user}`)} chosen={(p) => p.user === user} />
      {adding && <Edit onClose={() => setAdding(false)} />}
      {person && <Account key={person.user} of={person} writes={writes} />}
      {secret.value && <Secret title={secret.value.title} about={t("acc.once")} value={secret.value.value} onClose={() => (secret.value = null)} />}
    </>
  );
}

function Account({ of: p, writes }: { of: Person; writes: boolean }) {
  const [sessions, setSessions] = useState<OwnSession[] | null>(null);
  const [editing, setEditing] = useState(false);
  const close = () => s.go("accounts/people");
  const url = `/api/v1/accounts/${encodeURIComponent(p.user)}`;
  useEffect(() => { get<{ sessions: OwnSession[] }>(`${url}/sessions`).then((r) => setSessions(r.sessions), () => setSessions([])); }, [p]);
  const act = async (does: () => Promise<unknown>) => {
    try {
      await strong(does);
      await read();
      s.tell(t("acc.saved"));
    } catch (why) {
      s.tell((why as Error).message, true);
    }
  };
  const reset = () => act(async () => {
    const made = await post<{ password: string }>(`${url}/password`, {});
    secret.value = { title: t("acc.password.new", { name: tt(p.name) }), value: made.password };
  });
  if (editing) return <Edit person={p} onClose={() => setEditing(false)} />;
  return (
    <Dialog title={tt(p.name)} onClose={close} wide>
      <p class="badges"><code>{p.user}</code><State of={p} /></p>
      <dl class="facts">
        <dt>{t("acc.roles")}</dt><dd>{p.roles.map(roleName).join(t("acc.comma"))}</dd>
        <dt>{t("acc.place")}</dt><dd>{tt(place(p.organisation)?.name) || t("acc.sees.city")}</dd>
        {p.districts && <><dt>{t("acc.only")}</dt><dd>{p.districts.join(t("acc.comma"))}</dd></>}
        <dt>{t("acc.clearance")}</dt><dd>L{p.clearance}</dd>
        <dt>{t("acc.factor")}</dt><dd>{p.totp_confirmed ? t("acc.factor.on") : t("acc.factor.off")}</dd>
        <dt>{t("acc.password.at")}</dt><dd>{stamp(p.password_at)}</dd>
        <dt>{t("acc.login")}</dt><dd>{p.last_login_at ? stamp(p.last_login_at) : t("acc.never")}</dd>
        <dt>{t("acc.sessions")}</dt><dd>{sessions?.length ?? "…"}</dd>
      </dl>
      {writes && (
        <div class="ends many">
          {!!sessions?.length && <button class="btn" onClick={() => act(() => send("DELETE", `${url}/sessions`))}>{t("acc.sessions.end")}</button>}
          {p.locked_until && <button class="btn" onClick={() => act(() => post(`${url}/unlock`, {}))}>{t("acc.unlock")}</button>}
          {p.totp_confirmed && <button class="btn" onClick={() => act(() => send("DELETE", `${url}/totp`))}>{t("acc.factor.remove")}</button>}
          {!p.single_sign_on && <button class="btn" onClick={reset}>{t("acc.password.reset")}</button>}
          <button class="btn bad" onClick={() => act(() => send("PATCH", url, { disabled: !p.disabled }))}>{t(p.disabled ? "acc.enable" : "acc.disable")}</button>
          <button class="btn main" onClick={() => setEditing(true)}>{t("acc.edit")}</button>
        </div>
      )}
    </Dialog>
  );
}

function Edit({ person: p, onClose }: { person?: Person; onClose: () => void }) {
  const [why, setWhy] = useState("");
  const [has, setHas] = useState(new Set(p?.roles ?? []));
  // Fields begin with what stands and then belong to who types: nothing may write into them again.
  const [first] = useState(chosen.value);
  const save = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const body = {
      name: { zh: text("zh"), en: text("en") || text("zh") }, roles: [...has], organisation: text("organisation") || null,
      clearance: Number(text("clearance")), crew: text("crew") || null,
    };
    try {
      if (p) await strong(() => send("PATCH", `/api/v1/accounts/${encodeURIComponent(p.user)}`, body));
      else {
        const made = await strong(() => post<{ user: string; password: string }>("/api/v1/accounts", { ...body, user: text("user") }));
        secret.value = { title: t("acc.password.first", { name: body.name.zh }), value: `${made.user}  ${made.password}` };
      }
      await read();
      s.tell(t("acc.saved"));
      onClose();
    } catch (e2) {
      setWhy((e2 as Error).message);
    }
  };
  const toggle = (key: string) => { const next = new Set(has); if (!next.delete(key)) next.add(key); setHas(next); };
  return (
    <Dialog title={p ? t("acc.edit.of", { name: tt(p.name) }) : t("acc.add")} onClose={onClose} wide>
      <form class="form" onSubmit={save}>
        {!p && <label class="field"><span>{t("login.user")}</span><input name="user" required maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9._@\-]*" autocomplete="off" /></label>}
        <div class="two"><label class="field"><span>{t("acc.name.zh")}</span><input name="zh" required maxLength={80} defaultValue={p?.name.zh} /></label>
          <label class="field"><span>{t("acc.name.en")}</span><input name="en" maxLength={80} defaultValue={p?.name.en} /></label></div>
        <div class="two"><label class="field"><span>{t("acc.place")}</span>
          <select name="organisation"><option value="">{t("acc.sees.city")}</option>{places.value.filter((o) => !o.closed).map((o) => <option value={o.code} selected={o.code === (p ? p.organisation : first)}>{tt(o.name)}</option>)}</select></label>
          <label class="field"><span>{t("acc.clearance")}</span><select name="clearance">{[1, 2, 3, 4].map((n) => <option value={n} selected={n === (p?.clearance ?? 2)}>L{n}</option>)}</select></label></div>
        <label class="field"><span>{t("acc.crew")}</span><input name="crew" maxLength={64} defaultValue={p?.crew ?? ""} placeholder="310101-CR-000001" /></label>
        <fieldset class="roles"><legend>{t("acc.roles")}</legend>{roles.value.map((r) => <label class="check"><input type="checkbox" checked={has.has(r.key)} onChange={() => toggle(r.key)} /><span>{tt(r.title)}</span></label>)}</fieldset>
        {why && <p class="wrong" role="alert">{why}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main" disabled={!has.size}>{t("acc.save")}</button></div>
      </form>
    </Dialog>
  );
}
