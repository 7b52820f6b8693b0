/** The loss ledger of all devices: what came in is stored, refused for a reason, or was a repetition. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, when } from "../../common/format";
import { t, tt } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { ticks } from "./chart";
import { Closes } from "./parts";
import type { Hour, Statistics } from "./types";

const SPANS = [24, 72, 168, 720];
const PARTS = ["stored", "duplicate", "rejected"] as const;
const DOWN = { stored: "dev.down.done", duplicate: "dev.down.waits", rejected: "dev.down.failed" } as const;

/** Bars by hour, what was lost on top. */
export function Bars({ hours, span, down }: { hours: Hour[]; span: number; down?: boolean }) {
  const W = 1080, H = 180, LEFT = 52, BOTTOM = 22, TOP = 8;
  const now = Math.ceil(Date.now() / 3600e3) * 3600e3, from = now - span * 3600e3;
  const most = Math.max(1, ...hours.map((h) => h.accepted));
  const x = (at: number) => LEFT + ((at - from) / (now - from)) * (W - LEFT);
  const y = (n: number) => TOP + (1 - n / most) * (H - TOP - BOTTOM);
  const wide = Math.max(1.5, (W - LEFT) / span - (span > 100 ? 0.5 : 2));
  const step = span <= 24 ? 3 : span <= 72 ? 12 : span <= 168 ? 24 : 120;
  const marks = [...Array(Math.floor(span / step)).keys()].map((i) => now - i * step * 3600e3);
  return (
    <svg class="bars" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={t("dev.books.bars", { n: num(hours.reduce((n, h) => n + h.accepted, 0)) })}>
      {ticks(0, most, 3).map((v) => <g class="tick"><line x1={LEFT} x2={W} y1={y(v)} y2={y(v)} /><text x={LEFT - 6} y={y(v) + 4} text-anchor="end">{num(v)}</text></g>)}
      {marks.map((at) => <g class="tick time"><text x={x(at)} y={H - 5} text-anchor={at === now ? "end" : "middle"}>{when(at)}</text></g>)}
      {hours.map((h) => {
        let base = 0;
        return <g><title>{`${when(h.hour)} · ${PARTS.map((k) => `${t(down ? DOWN[k] : `dev.ledger.${k}`)} ${num(h[k])}`).join(" · ")}`}</title>{PARTS.map((k) => { const top = y(base + h[k]), bottom = y(base); base += h[k]; return h[k] > 0 && <rect class={k} x={x(Date.parse(h.hour))} width={wide} y={Math.min(top, bottom - 1)} height={Math.max(1, bottom - top)} />; })}</g>;
      })}
    </svg>
  );
}

interface Refused { at: string; door: string; topic: string | null; reason: string; records: number; product: string; device: string; name: string | null; payload: string }

/** The messages behind a number: what was refused for one reason. */
function Messages({ reason, span, onClose }: { reason: string; span: number; onClose: () => void }) {
  const [list, setList] = useState<Refused[] | null>(null);
  useEffect(() => { get<{ messages: Refused[] }>(`/api/v1/devices/rejected?hours=${span}&reason=${encodeURIComponent(reason)}`).then((f) => setList(f.messages), (why: Error) => s.tell(why.message, true)); }, [reason, span]);
  return (
    <Dialog title={reason} wide onClose={onClose}>
      <ul class="refused">{(list ?? []).map((m) => <li><div><a href={`/console/devices/${m.product}/${m.device}`} onClick={(e) => { e.preventDefault(); onClose(); s.go(`devices/${m.product}/${encodeURIComponent(m.device)}`); }}>{m.name || m.device}</a> <span class="muted small">{when(m.at)} · {m.door} {m.topic ?? ""}</span></div><code>{m.payload}</code></li>)}{list && !list.length && <li class="muted">{t("dev.books.none")}</li>}</ul>
    </Dialog>
  );
}

/** Commands by hour: how many were sent, and how they ended. */
function Down({ hours, span }: { hours: Statistics["down"]; span: number }) {
  const made: Hour[] = hours.map((h) => ({ hour: h.hour, accepted: h.sent, stored: h.done, duplicate: Math.max(0, h.sent - h.done - h.failed), rejected: h.failed }));
  return <section class="downbars"><h2>{t("dev.books.down")}</h2><p class="key small muted"><i class="stored" />{t("dev.down.done")}<i class="duplicate" />{t("dev.down.waits")}<i class="rejected" />{t("dev.down.failed")}</p><Bars hours={made} span={span} down /></section>;
}

export function Books() {
  const [asked, setAsked] = useState<string | null>(null);
  const [span, setSpan] = useState(24);
  const [data, setData] = useState<Statistics | null>(null);
  useEffect(() => {
    const load = () => get<Statistics>(`/api/v1/devices/statistics?hours=${span}`).then(setData, (why: Error) => s.tell(why.message, true));
    void load();
    const timer = setInterval(() => !document.hidden && void load(), 10_000);
    return () => clearInterval(timer);
  }, [span]);
  const sum = (key: keyof Pick<Hour, "accepted" | "stored" | "rejected" | "duplicate">) => data?.hours.reduce((n, h) => n + h[key], 0) ?? 0;
  const totals = { accepted: sum("accepted"), stored: sum("stored"), rejected: sum("rejected"), duplicate: sum("duplicate") };
  const down = data?.down.reduce((n, h) => ({ sent: n.sent + h.sent, done: n.done + h.done, failed: n.failed + h.failed }), { sent: 0, done: 0, failed: 0 });
  const worst: Column<Statistics["worst"][number]>[] = [
    { key: "device", title: t("dev.device"), cell: (d) => <span class="two"><b>{d.name || d.device}</b><span class="muted small">{d.product}/{d.device}</span></span> },
    ...(["accepted", "stored", "duplicate", "rejected"] as const).map((k) => ({ key: k, title: t(`dev.ledger.${k}`), number: true, cell: (d: Statistics["worst"][number]) => num(d[k]) })),
  ];
  const reasons: Column<Statistics["reasons"][number]>[] = [
    { key: "reason", title: t("dev.reason"), cell: (r) => <span class="range">{r.reason}</span> },
    { key: "records", title: t("dev.records"), number: true, cell: (r) => num(r.records) },
    { key: "devices", title: t("dev.title"), number: true, cell: (r) => num(r.devices) },
    { key: "last", title: t("dev.last"), cell: (r) => <span class="nowrap">{when(r.last_at)}</span> },
  ];
  const states: Column<Statistics["products"][number]>[] = [
    { key: "product", title: t("dev.product"), cell: (p) => tt(p.title) },
    ...(["devices", "live", "silent", "never", "revoked"] as const).map((k) => ({ key: k, title: k === "devices" ? t("dev.title") : t(`dev.state.${k}`), number: true, cell: (p: Statistics["products"][number]) => <span class={k === "silent" && p[k] ? "warn" : p[k] ? "" : "muted"}>{num(p[k])}</span> })),
  ];
  return (
    <div class="page dev">
      <Crumb here={t("dev.books")} />
      <Head title={t("dev.books")} about={t("dev.books.about")}>
        <div class="spans" role="group" aria-label={t("dev.span")}>{SPANS.map((h) => <button class="btn" aria-pressed={span === h} onClick={() => setSpan(h)}>{h < 100 ? t("span.h", { h }) : t("span.d", { d: h / 24 })}</button>)}</div>
      </Head>
      <dl class="equation">
        <div><dt>{t("dev.ledger.accepted")}</dt><dd>{num(totals.accepted)}</dd></div><span aria-hidden="true">=</span>
        <div class="stored"><dt>{t("dev.ledger.stored")}</dt><dd>{num(totals.stored)}</dd></div><span aria-hidden="true">+</span>
        <div class="duplicate"><dt>{t("dev.ledger.duplicate")}</dt><dd>{num(totals.duplicate)}</dd></div><span aria-hidden="true">+</span>
        <div class="rejected"><dt>{t("dev.ledger.rejected")}</dt><dd>{num(totals.rejected)}</dd></div>
        {data && <Closes {...totals} />}
        {down && <div class="down"><dt>{t("dev.books.down")}</dt><dd>{num(down.sent)}<span class="muted small">{t("dev.books.down.ends", { done: num(down.done), failed: num(down.failed) })}</span></dd></div>}
        {data?.unknown && <div class="down"><dt>{t("dev.books.unknown")}</dt><dd>{num(data.unknown.rejected)}</dd></div>}
      </dl>
      {data && <Bars hours={data.hours} span={span} />}
      {data && data.down.length > 0 && <Down hours={data.down} span={span} />}
      {asked && <Messages reason={asked} span={span} onClose={() => setAsked(null)} />}
      <div class="columns">
        <section><h2>{t("dev.books.reasons")}</h2><Table columns={reasons} rows={data?.reasons ?? []} label={t("dev.books.reasons")} empty={t("dev.books.none")} id={(r) => r.reason} onOpen={(r) => setAsked(r.reason)} /></section>
        <section><h2>{t("dev.books.worst")}</h2><Table columns={worst} rows={data?.worst ?? []} label={t("dev.books.worst")} empty={t("dev.books.none")} onOpen={(d) => s.go(`devices/${d.product}/${encodeURIComponent(d.device)}`)} /></section>
      </div>
      <section><h2>{t("dev.books.products")}</h2><Table columns={states} rows={data?.products ?? []} label={t("dev.books.products")} /></section>
    </div>
  );
}

export function Crumb({ here, root = "devices" }: { here: string; root?: "devices" | "products" }) {
  return <p class="crumb"><a href={`/console/${root}`} onClick={(e) => { e.preventDefault(); s.go(root); }}>{t(root === "devices" ? "dev.title" : "prod.title")}</a><span aria-hidden="true">/</span>{here}</p>;
}
