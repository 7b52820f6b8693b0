/** Acceptance: each number that the documents set, with its live value, or with what is missing. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, stamp } from "../../common/format";
import { t, tt } from "../../common/i18n";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import "../indicators/indicators.css";
import type { Item } from "../indicators/types";

const columns = (): Column<Item>[] => [
  { key: "state", title: t("ind.level"), width: "96px", cell: (i) => (i.reached === null ? <span class="muted">{t(i.evidence ? "acc.shown" : "acc.open")}</span> : <span class={`sign ${i.reached ? "good" : "bad"}`}>{i.reached ? "●" : "◆"} {t(i.reached ? "acc.reached" : "acc.short")}</span>) },
  { key: "title", title: t("acc.number"), cell: (i) => <b>{tt(i.title)}</b> },
  { key: "document", title: t("acc.document"), cell: (i) => <span class="nowrap">{i.document}</span> },
  { key: "value", title: t("ind.value"), number: true, cell: (i) => (i.value === null ? <span class="muted">—</span> : <span class="figure"><b>{num(i.value, 2)}</b> <small class="muted">{tt(i.unit)}</small></span>) },
  { key: "target", title: t("ind.target"), number: true, cell: (i) => <span class="figure"><span>{i.better === "up" ? "≥" : "≤"} {num(i.target, 2)}</span> <small class="muted">{tt(i.unit)}</small></span> },
  { key: "evidence", title: t("acc.evidence"), cell: (i) => i.indicator ? <a href={`/console/indicators/${i.indicator}`} onClick={(e) => { e.preventDefault(); s.go(`indicators/${i.indicator}`); }}>{i.indicator}</a> : <span>{i.evidence && <><code>{i.evidence}</code> · </>}<span class="muted">{tt(i.missing)}</span></span> },
  { key: "at", title: t("ind.at"), cell: (i) => <span class="muted nowrap">{i.at ? stamp(i.at) : "—"}</span> },
];

export default function AcceptancePage() {
  const [items, setItems] = useState<Item[] | null>(null);
  useEffect(() => { get<{ items: Item[] }>("/api/v1/indicators/acceptance").then((f) => setItems(f.items), (e: Error) => s.tell(e.message, true)); }, []);
  const live = (items ?? []).filter((i) => i.reached !== null);
  return (
    <div class="page ind cat">
      <Head title={t("acc.title")} about={items ? t("acc.about", { n: items.length, live: live.length, reached: live.filter((i) => i.reached).length }) : t("dev.loading")} />
      <Table columns={columns()} rows={items ?? []} label={t("acc.title")} id={(i) => i.key} />
    </div>
  );
}
