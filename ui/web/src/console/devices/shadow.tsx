/** What the device should be and says it is, and what it was told to do. */
import { useEffect, useState } from "preact/hooks";
import { get, post, send } from "../../common/api";
import { when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import type { Full, Product, Prop } from "./types";

interface Stand { reported: Record<string, unknown>; desired: Record<string, unknown>; reported_rev: number; desired_rev: number; delivered_rev?: number; delta?: Record<string, unknown> }
interface Order { id: string; name: string; state: string; args: Record<string, unknown>; created_at: string; ended_at: string | null; actor: string; result: unknown }

function Input({ prop, value, onChange }: { prop: Prop; value: string; onChange: (v: string) => void }) {
  if (prop.type === "boolean") return <select value={value} onChange={(e) => onChange(e.currentTarget.value)}><option value="">—</option><option value="true">{t("dev.yes")}</option><option value="false">{t("dev.no")}</option></select>;
  if (prop.type === "enum") return <select value={value} onChange={(e) => onChange(e.currentTarget.value)}><option value="">—</option>{Object.entries(prop.codes).map(([k, title]) => <option value={k}>{tt(title)}</option>)}</select>;
  if (prop.type === "text") return <input type="text" maxLength={200} value={value} onInput={(e) => onChange(e.currentTarget.value)} />;
  return <input type="number" step={prop.type === "integer" ? 1 : "any"} min={prop.low ?? undefined} max={prop.high ?? undefined} value={value} onInput={(e) => onChange(e.currentTarget.value)} />;
}

/** What was typed, as its property means it; left empty it is not sent. */
export function typed(props: Prop[], values: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(props.filter((p) => (values[p.name] ?? "") !== "").map((p) => [p.name, p.type === "boolean" ? values[p.name] === "true" : p.type === "number" || p.type === "integer" ? Number(values[p.name]) : values[p.name]]));
}

export function Fields({ props, values, onChange }: { props: Prop[]; values: Record<string, string>; onChange: (v: Record<string, string>) => void }) {
  return <>{props.map((p) => <label class="field"><span>{tt(p.title)}{p.unit && ` (${tt(p.unit)})`}</span><Input prop={p} value={values[p.name] ?? ""} onChange={(v) => onChange({ ...values, [p.name]: v })} /></label>)}</>;
}

export function Shadow({ of, model }: { of: Full; model: Product }) {
  const code = encodeURIComponent(of.code);
  const [stand, setStand] = useState<Stand | null>(null);
  const [orders, setOrders] = useState<Order[]>([]);
  const [wish, setWish] = useState<Record<string, string>>({});
  const [args, setArgs] = useState<Record<string, string>>({});
  const may = s.session.value.acts.includes("device.write");
  const load = async () => {
    setStand(await get<Stand>(`/api/v1/shadow/${code}`).catch(() => null));
    setOrders((await get<{ commands: Order[] }>(`/api/v1/commands?device=${code}&limit=20`).catch(() => ({ commands: [] }))).commands);
  };
  useEffect(() => { void load(); const timer = setInterval(() => !document.hidden && void load(), 3_000); return () => clearInterval(timer); }, [code]);
  const act = async (what: () => Promise<unknown>, done: Key) => { try { await what(); s.tell(t(done)); await load(); } catch (why) { s.tell((why as Error).message, true); } };
  const columns: Column<Order>[] = [
    { key: "name", title: t("dev.command"), cell: (o) => tt(model.commands.find((c) => c.name === o.name)?.title) || o.name },
    { key: "args", title: t("dev.args"), cell: (o) => <code>{Object.keys(o.args).length ? JSON.stringify(o.args) : "—"}</code> },
    { key: "state", title: t("dev.state"), cell: (o) => t(`dev.order.${o.state}` as Key) },
    { key: "at", title: t("dev.at"), cell: (o) => <span class="nowrap">{when(o.created_at)}</span> },
    { key: "actor", title: t("dev.by"), cell: (o) => o.actor },
  ];
  const names = [...new Set([...model.settings.map((p) => p.name), ...Object.keys(stand?.reported ?? {}), ...Object.keys(stand?.desired ?? {})])];
  return (
    <div class="control">
      <section>
        <h2>{t("dev.shadow")}</h2>
        {names.length ? (
          <table class="table shadow"><thead><tr><th scope="col">{t("dev.setting")}</th><th scope="col">{t("dev.reported")}</th><th scope="col">{t("dev.desired")}</th>{may && <th scope="col">{t("dev.wish")}</th>}</tr></thead>
            <tbody>{names.map((name) => {
              const prop = model.settings.find((p) => p.name === name);
              const [r, d] = [stand?.reported[name], stand?.desired[name]];
              return <tr class={d !== undefined && JSON.stringify(d) !== JSON.stringify(r) ? "apart" : ""}><th scope="row">{tt(prop?.title) || name}{prop?.unit && <span class="unit">{tt(prop.unit)}</span>}</th><td>{r === undefined ? "—" : String(r)}</td><td>{d === undefined ? "—" : String(d)}</td>{may && <td>{prop && <Input prop={prop} value={wish[name] ?? ""} onChange={(v) => setWish({ ...wish, [name]: v })} />}</td>}</tr>;
            })}</tbody></table>
        ) : <p class="empty muted">{t("dev.shadow.none")}</p>}
        {may && model.settings.length > 0 && <div class="ends"><button class="btn main" disabled={!Object.values(wish).some(Boolean)} onClick={() => void act(() => send("PATCH", `/api/v1/shadow/${code}`, typed(model.settings, wish)), "dev.shadow.sent").then(() => setWish({}))}><Icon name="send" />{t("dev.shadow.send")}</button></div>}
      </section>
      <section>
        <h2>{t("dev.commands")}</h2>
        {may && model.commands.map((c) => (
          <form class="command" onSubmit={(e) => { e.preventDefault(); void act(() => post("/api/v1/commands", { product: of.product, devices: [of.code], name: c.name, args: typed(c.args, args), ttl_s: c.ttl_s }), "dev.command.sent"); }}>
            <b>{tt(c.title)}</b><Fields props={c.args} values={args} onChange={setArgs} /><button class="btn"><Icon name="send" />{t("dev.command.send")}</button>
          </form>
        ))}
        <Table columns={columns} rows={orders} label={t("dev.commands")} empty={t("dev.commands.none")} />
      </section>
    </div>
  );
}
