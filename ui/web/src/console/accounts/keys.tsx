/** Keys of partner systems: what each opens, how much of its day is used, made and ended here. */
import { useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { num, stamp, when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import { Dialog, Secret } from "../parts/dialog";
import { strong } from "../parts/strong";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { keyActs, keys, read } from "./store";
import type { Key } from "./types";

const list = (said: string[] | null): string => (said ? said.join(t("acc.comma")) : t("key.all"));

function Use({ of: k }: { of: Key }) {
  const part = Math.min(1, k.today / k.daily_quota);
  return <span class="use"><span class="bar" role="img" aria-label={`${Math.round(part * 100)} %`}><i style={{ width: `${part * 100}%` }} class={part > 0.9 ? "high" : ""} /></span>{num(k.today)}<small class="unit">/ {num(k.daily_quota)}</small></span>;
}

function ended(k: Key): string | null {
  if (k.revoked_at) return t("key.revoked");
  return new Date(k.expires_at) < new Date() ? t("key.expired") : null;
}

export function Keys({ writes }: { writes: boolean }) {
  const [adding, setAdding] = useState(false);
  const [token, setToken] = useState<string | null>(null);
  const [, , id] = s.path.value.split("/");
  const chosen = keys.value.find((k) => k.id === id);
  const columns: Column<Key>[] = [
    { key: "name", title: t("key.name"), cell: (k) => <span class="person"><b>{k.name}</b><code>{k.id}</code></span> },
    { key: "kinds", title: t("key.kinds"), cell: (k) => <span class="range">{list(k.kinds)}</span> },
    { key: "districts", title: t("key.districts"), cell: (k) => list(k.districts) },
    { key: "rate", title: t("key.rate"), number: true, cell: (k) => <>{k.rate_per_s}<small class="unit">/ s</small></> },
    { key: "today", title: t("key.today"), number: true, cell: (k) => <Use of={k} /> },
    { key: "until", title: t("key.until"), cell: (k) => <span class="nowrap">{stamp(k.expires_at).slice(0, 10)}</span> },
    { key: "used", title: t("key.used"), cell: (k) => (k.last_used_at ? when(k.last_used_at) : <span class="muted">{t("acc.never")}</span>) },
    { key: "state", title: "", cell: (k) => ended(k) && <span class="tag off">{ended(k)}</span> },
  ];
  return (
    <>
      <div class="asks"><span class="muted count" role="status">{t("key.count", { n: keys.value.filter((k) => !ended(k)).length })}</span>
        {writes && <button class="btn main" onClick={() => setAdding(true)}><Icon name="plus" />{t("key.add")}</button>}</div>
      <Table columns={columns} rows={keys.value} label={t("acc.keys")} empty={t("key.none")} id={(k) => k.id} onOpen={(k) => s.go(`accounts/keys/${k.id}`)} chosen={(k) => k.id === id} />
      {adding && <NewKey onClose={() => setAdding(false)} onMade={setToken} />}
      {chosen && <One of={chosen} writes={writes} onMade={setToken} />}
      {token && <Secret title={t("key.made")} about={t("acc.once")} value={token} onClose={() => setToken(null)} />}
    </>
  );
}

function One({ of: k, writes, onMade }: { of: Key; writes: boolean; onMade: (token: string) => void }) {
  const [grace, setGrace] = useState(24);
  const close = () => s.go("accounts/keys");
  const revoke = async () => {
    try {
      await strong(() => send("DELETE", `/api/v1/keys/${k.id}`));
      await read();
      s.tell(t("key.revoked"));
      close();
    } catch (why) {
      s.tell((why as Error).message, true);
    }
  };
  const rotate = async () => {
    try {
      const made = await strong(() => post<{ token: string }>(`/api/v1/keys/${k.id}/rotate`, { grace_hours: grace }));
      await read();
      close();
      onMade(made.token);
    } catch (why) {
      s.tell((why as Error).message, true);
    }
  };
  return (
    <Dialog title={k.name} onClose={close} wide>
      <p class="badges"><code>{k.id}</code>{ended(k) && <span class="tag off">{ended(k)}</span>}</p>
      <dl class="facts">
        <dt>{t("key.kinds")}</dt><dd>{list(k.kinds)}</dd><dt>{t("key.districts")}</dt><dd>{list(k.districts)}</dd>
        <dt>{t("key.fields")}</dt><dd>{k.fields ? Object.entries(k.fields).map(([kind, f]) => <div><code>{kind}</code> {f.join(t("acc.comma"))}</div>) : t("key.all")}</dd>
        <dt>{t("key.acts")}</dt><dd><code>{k.acts.join(" ")}</code></dd><dt>{t("acc.clearance")}</dt><dd>L{k.clearance}</dd>
        <dt>{t("key.addresses")}</dt><dd>{k.addresses ? k.addresses.join(t("acc.comma")) : t("key.any")}</dd>
        <dt>{t("key.rate")}</dt><dd>{t("key.rate.said", { rate: k.rate_per_s, burst: k.burst })}</dd>
        <dt>{t("key.today")}</dt><dd><Use of={k} />{k.refused_today > 0 && <span class="muted"> {t("key.refused", { n: num(k.refused_today) })}</span>}</dd>
        <dt>{t("key.month")}</dt><dd>{num(k.month)}</dd>
        <dt>{t("key.by")}</dt><dd>{k.created_by} · {stamp(k.created_at)}</dd><dt>{t("key.until")}</dt><dd>{stamp(k.expires_at)}</dd>
      </dl>
      {writes && !ended(k) && <div class="ends"><label class="inline">{t("key.grace")}<select name="grace" value={grace} onChange={(e) => setGrace(Number(e.currentTarget.value))}>{[0, 1, 24, 72, 168].map((h) => <option value={h}>{h ? t("key.grace.h", { h }) : t("key.grace.none")}</option>)}</select></label><button class="btn" data-do="rotate" onClick={rotate}>{t("key.rotate")}</button><span class="grow" /><button class="btn bad" onClick={revoke}>{t("key.revoke")}</button></div>}
    </Dialog>
  );
}

function NewKey({ onClose, onMade }: { onClose: () => void; onMade: (token: string) => void }) {
  const [why, setWhy] = useState("");
  const save = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const many = (name: string) => { const said = text(name).split(/[\s,，]+/).filter(Boolean); return said.length ? said : null; };
    const fields: Record<string, string[]> = {};
    for (const said of many("fields") ?? []) { const [kind, field] = said.split("."); (fields[kind!] ??= []).push(field ?? ""); }
    const body = {
      name: text("name"), kinds: many("kinds"), districts: many("districts"), fields: Object.keys(fields).length ? fields : null,
      acts: ["map.read", ...form.getAll("acts").map(String)], clearance: Number(text("clearance")), addresses: many("addresses"),
      rate_per_s: Number(text("rate")), burst: Number(text("burst")), daily_quota: Number(text("quota")), days: Number(text("days")),
    };
    try {
      const made = await strong(() => post<{ token: string }>("/api/v1/keys", body));
      await read();
      onClose();
      onMade(made.token);
    } catch (e2) {
      setWhy((e2 as Error).message);
    }
  };
  const field = (name: string, label: string, more: Record<string, unknown> = {}) => <label class="field"><span>{label}</span><input name={name} {...more} /></label>;
  return (
    <Dialog title={t("key.add")} onClose={onClose} wide>
      <form class="form" onSubmit={save}>
        {field("name", t("key.name"), { required: true, maxLength: 80 })}
        <div class="two">{field("kinds", t("key.kinds.help"), { placeholder: "toilet, park" })}{field("districts", t("key.districts.help"), { placeholder: "310104" })}</div>
        <div class="two">{field("fields", t("key.fields.help"), { placeholder: "toilet.grade" })}{field("addresses", t("key.addresses.help"), { placeholder: "10.1.0.0/16" })}</div>
        <div class="four">{field("rate", t("key.rate.help"), { type: "number", min: 0.01, step: "any", defaultValue: 10, required: true })}{field("burst", t("key.burst"), { type: "number", min: 1, defaultValue: 50, required: true })}{field("quota", t("key.quota"), { type: "number", min: 1, defaultValue: 100000, required: true })}{field("days", t("key.days"), { type: "number", min: 1, max: 732, defaultValue: 365, required: true })}</div>
        <label class="field"><span>{t("acc.clearance")}</span><select name="clearance">{[1, 2, 3, 4].map((n) => <option value={n}>L{n}</option>)}</select></label>
        <fieldset class="roles"><legend>{t("key.acts.more")}</legend>{keyActs.value.filter((a) => a !== "map.read").map((a) => <label class="check"><input type="checkbox" name="acts" value={a} /><span><code>{a}</code></span></label>)}</fieldset>
        {why && <p class="wrong" role="alert">{why}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("key.make")}</button></div>
      </form>
    </Dialog>
  );
}
