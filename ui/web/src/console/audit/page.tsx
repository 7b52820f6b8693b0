/** The audit: who signed in, who was refused, who changed what others may; newest first, kept for ever. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../common/api";
import { stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t, type Key } from "../../common/i18n";
import zh from "../../../locales/zh-CN.json";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import "../accounts/accounts.css";
import "./audit.css";

interface Entry { id: number; seq: number | null; at: string; action: string; actor: string; before: Record<string, unknown> | null; after: Record<string, unknown> | null; note: Record<string, unknown> | null }

const REFUSALS = ["login.refused", "refused", "grants.altered"];
const entries = signal<Entry[]>([]);
const next = signal<number | null>(null);
const actions = signal<{ action: string; entries: number }[]>([]);
const asked = signal({ actor: "", action: "", since: "", until: "" });
const open = signal<number | null>(null);
const why = signal("");

const name = (action: string): string => { const key = `aud.${action}`; return key in zh ? t(key as Key) : action; };

function query(more: Record<string, string> = {}): string {
  const { actor, action, since, until } = asked.value;
  const said: Record<string, string> = { limit: "100", ...more };
  if (actor) said.actor = actor;
  if (action) said.action = action === "refusals" ? REFUSALS.join(",") : action;
  if (since) said.since = `${since}T00:00:00+08:00`;
  if (until) said.until = new Date(Date.parse(`${until}T00:00:00+08:00`) + 86_400_000).toISOString();
  return new URLSearchParams(said).toString();
}

async function read(before?: number): Promise<void> {
  try {
    const found = await get<{ entries: Entry[]; next: number | null }>(`/api/v1/audit?${query(before ? { before: String(before) } : {})}`);
    entries.value = before ? [...entries.value, ...found.entries] : found.entries;
    next.value = found.next;
    why.value = "";
  } catch (e) {
    why.value = (e as Error).message;
  }
}

/** What changed, field by field; otherwise what was noted. */
function told(e: Entry): [string, string][] {
  const text = (v: unknown): string => (v === null || v === undefined ? "–" : Array.isArray(v) ? v.join(t("acc.comma")) || "–" : typeof v === "object" ? JSON.stringify(v) : String(v));
  if (e.before && e.after) {
    const keys = Object.keys(e.after).filter((k) => JSON.stringify(e.before![k]) !== JSON.stringify(e.after![k]));
    return keys.map((k) => [k, `${text(e.before![k])} → ${text(e.after![k])}`]);
  }
  return Object.entries(e.after ?? e.note ?? {}).filter(([, v]) => v !== null && v !== "" && v !== false && !(Array.isArray(v) && !v.length)).map(([k, v]) => [k, text(v)]);
}

const label = (key: string): string => { const said = `aud.k.${key}`; return said in zh ? t(said as Key) : key; };

const about = (e: Entry): string => String(e.after?.user ?? e.note?.user ?? e.after?.code ?? e.after?.name ?? e.note?.door ?? e.note?.key ?? "");

export default function AuditPage() {
  useEffect(() => { void read(); get<{ actions: { action: string; entries: number }[] }>("/api/v1/audit/actions").then((r) => (actions.value = r.actions), () => undefined); }, []);
  const set = (part: Partial<typeof asked.value>) => { asked.value = { ...asked.value, ...part }; open.value = null; void read(); };
  const columns: Column<Entry>[] = [
    { key: "at", title: t("aud.at"), width: "150px", cell: (e) => <time dateTime={e.at}>{stamp(e.at)}</time> },
    { key: "action", title: t("aud.action"), width: "220px", cell: (e) => <span class={REFUSALS.includes(e.action) ? "refusal" : ""}>{REFUSALS.includes(e.action) && <Icon name="ban" size={14} />}{name(e.action)}</span> },
    { key: "actor", title: t("aud.actor"), width: "200px", cell: (e) => (e.actor === "-" ? <span class="muted">{t("aud.unknown")}</span> : <b>{e.actor}</b>) },
    { key: "about", title: t("aud.about"), cell: (e) => (open.value === e.id
      ? <dl class="facts">{told(e).map(([k, v]) => <><dt>{label(k)}</dt><dd>{v}</dd></>)}<dt>{t("aud.seq")}</dt><dd>{e.seq ?? t("aud.unsealed")}</dd></dl>
      : <span class="cut line">{about(e)}<span class="muted">{told(e).filter(([, v]) => v !== about(e)).slice(0, 3).map(([k, v]) => ` ${label(k)} ${v === "true" ? "✓" : v}`).join(" ·")}</span></span>) },
  ];
  const { actor, action, since, until } = asked.value;
  return (
    <div class="page aud" lang={lang.value}>
      <Head title={t("console.audit")} about={t("aud.intro")}><a class="btn" href={`/api/v1/audit?${query({ f: "csv", limit: "1000" })}`} download><Icon name="package" />CSV</a></Head>
      <div class="asks">
        <label class="search"><Icon name="user" /><input type="search" aria-label={t("aud.who")} placeholder={t("aud.who")} value={actor} onChange={(e) => set({ actor: e.currentTarget.value.trim() })} /></label>
        <label><span class="sr">{t("aud.action")}</span><select value={action} onChange={(e) => set({ action: e.currentTarget.value })}>
          <option value="">{t("aud.all")}</option><option value="refusals">{t("aud.refusals")}</option>
          {actions.value.map((a) => <option value={a.action}>{name(a.action)}（{a.entries}）</option>)}</select></label>
        <label><span class="sr">{t("aud.since")}</span><input type="date" value={since} onChange={(e) => set({ since: e.currentTarget.value })} /></label><span class="muted">–</span>
        <label><span class="sr">{t("aud.until")}</span><input type="date" value={until} onChange={(e) => set({ until: e.currentTarget.value })} /></label>
        <span class="muted count" role="status">{t("aud.count", { n: entries.value.length })}{next.value ? "+" : ""}</span>
      </div>
      {why.value && <p class="wrong" role="alert">{why.value}</p>}
      <Table columns={columns} rows={entries.value} label={t("console.audit")} empty={t("aud.none")} id={(e) => String(e.id)} onOpen={(e) => (open.value = open.value === e.id ? null : e.id)} chosen={(e) => e.id === open.value} />
      {next.value && <p class="more"><button class="btn" onClick={() => void read(next.value!)}>{t("aud.more")}</button></p>}
    </div>
  );
}
