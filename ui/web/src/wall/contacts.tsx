/** The address book on the wall: who is on duty now, groups that are told together, anybody by name, post or unit. */
import { useEffect, useState } from "preact/hooks";
import { readBook, readGroups, type Book, type Group } from "../common/contacts";
import { hm } from "../common/format";
import { Icon } from "../common/icon";
import { t, tt } from "../common/i18n";
import { Phone } from "../common/phone";
import { Head } from "./rail";
import * as s from "./store";
import "./command.css";

export function Contacts() {
  const [q, setQ] = useState("");
  const [group, setGroup] = useState("");
  const [onDuty, setOnDuty] = useState(true);
  const [groups, setGroups] = useState<Group[]>([]);
  const [book, setBook] = useState<Book | null>(null);
  useEffect(() => { readGroups().then(setGroups, (e: Error) => s.tell(e.message)); }, []);
  useEffect(() => {
    let late = false;
    const timer = setTimeout(() => readBook({ q, group, onDuty: onDuty && !q && !group }).then((b) => { if (!late) setBook(b); }, (e: Error) => s.tell(e.message)), q ? 250 : 0);
    return () => { late = true; clearTimeout(timer); };
  }, [q, group, onDuty]);
  const narrowed = q !== "" || group !== "";
  return (
    <>
      <Head title={t("rail.contacts")} />
      <div class="scroll pad contacts">
        <input type="search" class="find" placeholder={t("con.find")} aria-label={t("con.find")} value={q} onInput={(e) => setQ(e.currentTarget.value)} />
        <div class="chips" role="group" aria-label={t("con.groups")}>
          <button aria-pressed={onDuty && !narrowed} class={onDuty && !narrowed ? "on" : ""} onClick={() => { setQ(""); setGroup(""); setOnDuty(true); }}>{t("con.on.duty")}</button>
          <button aria-pressed={!onDuty && !narrowed} class={!onDuty && !narrowed ? "on" : ""} onClick={() => { setQ(""); setGroup(""); setOnDuty(false); }}>{t("con.all")}</button>
          {groups.map((g) => <button key={g.key} data-group={g.key} aria-pressed={group === g.key} class={group === g.key ? "on" : ""} onClick={() => setGroup(group === g.key ? "" : g.key)}>{tt(g.title)} <span class="muted">{g.members.length}</span></button>)}
        </div>
        {book && <p class="muted small">{t("con.shown", { n: book.contacts.length, total: book.total })}</p>}
        {book && !book.total && <p class="muted">{t("con.none")}</p>}
        <ul class="people">{book?.contacts.map((c) => (
          <li key={c.id}>
            <span class="grow"><b>{c.name}</b> <span>{c.post}</span><span class="muted small cut">{c.unit}</span></span>
            <span class="right">{c.duty && <span class="tag duty" title={c.duty.post}><Icon name="clock" size={12} />{t("con.until", { t: hm(c.duty.until) })}</span>}
            {c.has_phone && <Phone id={c.id} masked={c.phone} may={book.may_reveal} tell={s.tell} />}</span>
          </li>
        ))}</ul>
      </div>
    </>
  );
}
