/** The address book: people with masked telephones, groups that are told together, who is on duty this week. */
import { useEffect, useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { readBook, readGroups, type Book, type Contact, type Group } from "../../common/contacts";
import { hm, when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { Phone } from "../../common/phone";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Roster } from "./roster";
import "../accounts/accounts.css";
import "./contacts.css";

const failed = (e: Error) => s.tell(e.message, true);
const text = (f: FormData, name: string) => String(f.get(name) ?? "").trim();

function Person({ of, done }: { of: Contact | null; done: (changed: boolean) => void }) {
  const [sure, setSure] = useState(false);
  const keep = (e: SubmitEvent) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const said = { name: text(f, "name"), post: text(f, "post"), unit: text(f, "unit"), ...(text(f, "phone") ? { phone: text(f, "phone") } : {}) };
    const go = of ? send("PUT", `/api/v1/contacts/${of.id}`, { ...said, version: of.version }) : post("/api/v1/contacts", said);
    go.then(() => done(true), failed);
  };
  const shift = (e: SubmitEvent) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    post("/api/v1/roster", { contact: of!.id, starts_at: `${text(f, "from")}:00+08:00`, ends_at: `${text(f, "to")}:00+08:00` }).then(() => done(true), failed);
  };
  return (
    <Dialog title={of ? of.name : t("con.add")} onClose={() => done(false)}>
      <form class="form" onSubmit={keep}>
        <label class="field"><span>{t("con.name")}</span><input name="name" required maxLength={60} defaultValue={of?.name} /></label>
        <label class="field"><span>{t("con.post")}</span><input name="post" maxLength={80} defaultValue={of?.post} /></label>
        <label class="field"><span>{t("con.unit")}</span><input name="unit" maxLength={120} defaultValue={of?.unit} /></label>
        <label class="field"><span>{t("con.phone")}</span><input name="phone" inputMode="tel" maxLength={40} placeholder={of?.phone} /></label>
        <div class="ends">{of && <button type="button" class="btn" onClick={() => setSure(true)}>{t("con.remove")}</button>}<button type="button" class="btn" onClick={() => done(false)}>{t("action.cancel")}</button><button class="btn main">{t("con.keep")}</button></div>
      </form>
      {of && !sure && <form class="form shiftform" onSubmit={shift}>
        <h3>{t("con.shift")}</h3>
        <label class="field"><span>{t("con.shift.from")}</span><input type="datetime-local" name="from" required /></label>
        <label class="field"><span>{t("con.shift.to")}</span><input type="datetime-local" name="to" required /></label>
        <div class="ends"><button class="btn">{t("con.shift")}</button></div>
      </form>}
      {of && sure && <p class="sure" role="alert">{t("con.remove.sure", { name: of.name })} <button class="btn bad" onClick={() => void send("DELETE", `/api/v1/contacts/${of.id}`).then(() => done(true), failed)}>{t("con.remove")}</button></p>}
    </Dialog>
  );
}

function Groups({ groups, chosen, choose }: { groups: Group[]; chosen: string; choose: (key: string) => void }) {
  const may = s.session.value.acts.includes("policy.write");
  return (
    <aside class="groupsof" aria-label={t("con.groups")}>
      <h2>{t("con.groups")}</h2>
      <ul class="plain">{groups.map((g) => (
        <li key={g.key} class={chosen === g.key ? "on" : ""}>
          <button aria-pressed={chosen === g.key} data-group={g.key} onClick={() => choose(chosen === g.key ? "" : g.key)}><b>{tt(g.title)}</b><span class="muted small">{t("con.members", { n: g.members.length })}{g.on_duty && ` · ${t("con.duty.only")}`}{!g.verified && ` · ${t("con.unverified")}`}</span></button>
          {may && <a href={`/console/policies/group/${g.key}`} title={t("con.edit.group")} aria-label={`${t("con.edit.group")} ${tt(g.title)}`} onClick={(e) => { e.preventDefault(); s.go(`policies/group/${g.key}`); }}><Icon name="pen-line" size={16} /></a>}
        </li>
      ))}</ul>
    </aside>
  );
}

export default function ContactsPage() {
  const [, tab = "people"] = s.path.value.split("/");
  const [q, setQ] = useState("");
  const [group, setGroup] = useState("");
  const [onDuty, setOnDuty] = useState(false);
  const [groups, setGroups] = useState<Group[]>([]);
  const [book, setBook] = useState<Book | null>(null);
  const [open, setOpen] = useState<Contact | null | "new">(null);
  const read = () => readBook({ q, group, onDuty }, 2000).then(setBook, failed);
  useEffect(() => { readGroups().then(setGroups, failed); }, [open]);
  useEffect(() => { const timer = setTimeout(() => void read(), q ? 250 : 0); return () => clearTimeout(timer); }, [q, group, onDuty]);
  const columns: Column<Contact>[] = [
    { key: "name", title: t("con.name"), cell: (c) => <b>{c.name}</b> },
    { key: "post", title: t("con.post"), cell: (c) => c.post },
    { key: "unit", title: t("con.unit"), cell: (c) => c.unit },
    { key: "duty", title: t("con.duty"), cell: (c) => (c.duty ? <span class="tag duty">{t("con.until", { t: hm(c.duty.until) === "00:00" ? when(c.duty.until) : hm(c.duty.until) })}</span> : <span class="muted">—</span>) },
    { key: "phone", title: t("con.phone"), cell: (c) => (c.has_phone ? <Phone id={c.id} masked={c.phone} may={book!.may_reveal} tell={(why) => s.tell(why, true)} /> : <span class="muted">—</span>) },
    { key: "account", title: t("con.account"), cell: (c) => (c.account ? <code>{c.account}</code> : <span class="muted">—</span>) },
  ];
  if (book?.may_write) columns.push({ key: "edit", title: "", cell: (c) => <button class="plain" aria-label={`${t("con.edit")} ${c.name}`} onClick={() => setOpen(c)}><Icon name="pen-line" size={16} /></button> });
  return (
    <div class="page con">
      <Head title={t("con.title")} about={t("con.about")}>{book?.may_write && <button class="btn main" onClick={() => setOpen("new")}><Icon name="plus" />{t("con.add")}</button>}</Head>
      <nav class="tabs" aria-label={t("con.title")}>{(["people", "roster"] as const).map((one) => <a href={`/console/contacts/${one}`} class={tab === one ? "on" : ""} aria-current={tab === one ? "page" : undefined} onClick={(e) => { e.preventDefault(); s.go(`contacts/${one}`); }}>{t(`con.${one}`)}</a>)}</nav>
      {tab === "roster" ? <Roster may={book?.may_write ?? false} /> : (
        <div class="split">
          <Groups groups={groups} chosen={group} choose={setGroup} />
          <div class="peopleof">
            <p class="asks"><input type="search" placeholder={t("con.find")} aria-label={t("con.find")} value={q} onInput={(e) => setQ(e.currentTarget.value)} /><label><input type="checkbox" checked={onDuty} onChange={(e) => setOnDuty(e.currentTarget.checked)} /> {t("con.on.duty")}</label><span class="muted small">{book && t("con.shown", { n: book.contacts.length, total: book.total })}</span></p>
            <Table columns={columns} rows={book?.contacts ?? []} label={t("con.title")} empty={book ? t("con.none") : t("dev.loading")} id={(c) => c.id} />
          </div>
        </div>
      )}
      {open && <Person of={open === "new" ? null : open} done={(changed) => { setOpen(null); if (changed) void read(); }} />}
    </div>
  );
}
