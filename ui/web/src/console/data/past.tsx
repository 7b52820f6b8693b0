/** The loads that were done, and taking one back. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { num, when } from "../../common/format";
import { t, tt } from "../../common/i18n";
import { Table } from "../parts/table";
import { tell } from "../state";
import * as api from "./api";

function Count({ n, look }: { n: number | undefined; look: string }) {
  return <span class={n ? `n ${look}` : "n zero"}>{n ? num(n) : "·"}</span>;
}

export function Past() {
  const [rows, setRows] = useState<api.Past[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [asking, setAsking] = useState<number | null>(null);
  const more = (from: string | null) => api.past(from).then((p) => { setRows((old) => (from ? [...(old ?? []), ...p.loads] : p.loads)); setNext(p.next); }, (why: Error) => tell(why.message, true));
  useEffect(() => void more(null), []);
  const undo = async (load: api.Past) => {
    setAsking(null);
    try {
      await api.undo(load.id);
      tell(t("load.undone"));
      await more(null);
    } catch (why) {
      tell((why as Error).message, true);
    }
  };
  if (!rows) return null;
  return (
    <section class="pastloads">
      <h2>{t("load.past")}</h2>
      <Table label={t("load.past")} rows={rows} empty={t("load.past.none")} id={(r) => String(r.id)} columns={[
        { key: "at", title: t("load.past.at"), width: "120px", cell: (r) => when(r.at) },
        { key: "kind", title: t("load.kind"), cell: (r) => <b>{tt(r.kind_title)}</b> },
        { key: "file", title: t("load.past.file"), cell: (r) => <span class="cut file">{r.file ?? r.source}</span> },
        { key: "by", title: t("load.past.by"), cell: (r) => <span class="muted">{r.actor}</span> },
        { key: "new", title: t("load.n.new"), number: true, cell: (r) => <Count n={r.counts.inserted} look="good" /> },
        { key: "changed", title: t("load.n.changed"), number: true, cell: (r) => <Count n={r.counts.updated} look="changed" /> },
        { key: "same", title: t("load.n.same"), number: true, cell: (r) => <Count n={r.counts.unchanged} look="" /> },
        { key: "undo", title: <span class="sr">{t("load.undo")}</span>, number: true, width: "190px", cell: (r) => r.undone_at ? <span class="muted small">{t("load.undone.by", { who: r.undone_by ?? "" })}</span>
          : asking === r.id ? <span class="sureask"><button class="btn bad" onClick={() => void undo(r)}>{t("load.undo.sure")}</button><button class="ghost" aria-label={t("action.cancel")} onClick={() => setAsking(null)}><Icon name="x" /></button></span>
          : (r.counts.inserted || r.counts.updated) ? <button class="ghost" data-undo={r.id} onClick={() => setAsking(r.id)}><Icon name="undo-2" />{t("load.undo")}</button> : null },
      ]} />
      {next && <p><button class="btn" onClick={() => void more(next)}>{t("load.past.more")}</button></p>}
    </section>
  );
}
