/** What of an event was not said by whoever reported it: filled in from the map, seen by a machine, told by a partner; a person confirms or corrects. */
import { useState } from "preact/hooks";
import "./provenance.css";
import { ActionForm } from "./actionform";
import { stamp } from "./format";
import { Icon } from "./icon";
import { t, tt, type Key } from "./i18n";
import type { Action, Event } from "./types";
import { placed } from "./places";

const FIELDS = ["district", "street", "grid", "address", "thing"];
const SOURCES = new Set(["district", "street", "grid", "road"]);
const percent = (v: number) => `${Math.round(v * 100)}%`;

function named(ev: Event, field: string): string {
  const of = ev.filled![field]!;
  if (field === "district") return placed(ev.district_name) ?? of.value;
  if (field === "street") return placed(ev.street_name) ?? of.value;
  return of.name ? `${of.name} ${of.value}` : of.value;
}

const from = (of: { from: string; m?: number }) => `${t(`filled.from.${SOURCES.has(of.from) ? of.from : "thing"}` as Key)}${of.m === undefined ? "" : ` · ${Math.round(of.m)} m`}`;

/** The fields that were filled in, with where each comes from; one click confirms them. */
function Filled({ ev, act }: { ev: Event; act(action: string, params: Record<string, unknown>): Promise<boolean> }) {
  const [wrong, setWrong] = useState(false);
  const [busy, setBusy] = useState(false);
  const may: Action | undefined = ev.actions?.find((a) => a.action === "review");
  const list = FIELDS.filter((f) => ev.filled?.[f]);
  if (!list.length) return null;
  if (wrong && may) return <ActionForm action={may} about={t("filled.wrong.about")} onCancel={() => setWrong(false)} onSend={(p) => act("review", p)} />;
  return (
    <section class="filled" data-filled>
      <h3>{t("filled.title")}</h3>
      <dl>{list.map((f) => <div key={f} data-field={f}><dt class="muted">{t(`filled.${f}` as Key)}</dt><dd>{named(ev, f)}<span class="muted small"> {from(ev.filled![f]!)}</span></dd></div>)}</dl>
      {may && <p class="buttons"><button class="btn" disabled={busy} data-review="confirm" onClick={async () => { setBusy(true); await act("review", {}); setBusy(false); }}><Icon name="check" />{t("filled.confirm")}</button>
        <button class="btn" data-review="wrong" onClick={() => setWrong(true)}>{t("filled.wrong")}</button></p>}
    </section>
  );
}

export function Provenance({ ev, act }: { ev: Event; act(action: string, params: Record<string, unknown>): Promise<boolean> }) {
  const partners = Object.entries(ev.partners ?? {});
  return (
    <>
      {ev.doubt && <p class="doubt" role="note"><Icon name="info" />{t("doubt.title", { why: ev.doubt })}</p>}
      {ev.asked && <p class="doubt" role="note"><Icon name="info" />{t("asked.title", { what: ev.asked })}</p>}
      {ev.unplaced && <p class="doubt" role="note"><Icon name="map-pin" />{t("unplaced.title", { why: ev.unplaced })}</p>}
      {(ev.confidence !== undefined || ev.camera || ev.area_m2) && <p class="muted small">{[ev.camera_name ?? ev.camera, ev.confidence === undefined ? "" : t("seen.confidence", { p: percent(ev.confidence) }), ev.area_m2 ? t("seen.area", { a: ev.area_m2 >= 10_000 ? `${(ev.area_m2 / 10_000).toFixed(2)} ha` : `${Math.round(ev.area_m2)} m²` }) : ""].filter(Boolean).join(" · ")}</p>}
      <Filled ev={ev} act={act} />
      {partners.length > 0 && <dl class="partners">{partners.map(([name, of]) => <div key={name} data-partner={name}><dt class="muted">{t("partner.title")}</dt><dd>{of.id ?? name} · {t(`partner.${of.status}` as Key)}{(of.notes || of.why) && <span class="muted"> {of.notes || of.why}</span>} <span class="muted small">{stamp(of.at)}</span></dd></div>)}</dl>}
      {!!ev.visits?.length && <dl class="partners">{ev.visits.map((v) => <div key={v.at}><dt class="muted">{t("visit.title")}</dt><dd><b class={v.verdict === "unsatisfied" ? "bad" : ""}>{t(`visit.${v.verdict}` as Key)}</b> {v.note} <span class="muted small">{stamp(v.at)}</span></dd></div>)}</dl>}
      {!!ev.reviews?.length && !ev.filled && <p class="muted small">{t("filled.done", { who: tt(ev.reviews[ev.reviews.length - 1]!.by), at: stamp(ev.reviews[ev.reviews.length - 1]!.at) })}</p>}
    </>
  );
}
