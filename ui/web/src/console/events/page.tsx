/** All events: saved views on the left, the list, the same events on the map; what is done here is done there too. */
import { useEffect } from "preact/hooks";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import { Strong } from "../parts/strong";
import * as s from "../state";
import "./events.css";
import { Bulk } from "./bulk";
import { Detail } from "./detail";
import { Columns, FilterBar, Views } from "./filters";
import { EventMap } from "./map";
import { Replay } from "./replay";
import * as e from "./store";
import { List } from "./table";

function Desk() {
  useEffect(() => e.follow(), []);
  const said = s.path.value.split("/")[1];
  useEffect(() => { if (said) e.open.value = decodeURIComponent(said); }, [said]);
  const one = e.opened.value;
  return (
    <div class="evl">
      <Views />
      <section class="middle" aria-label={t("evl.title")}>
        <header class="head"><div class="grow"><h1>{t("evl.title")}<span class="muted count" role="status">{e.loading.value && !e.rows.value.length ? "…" : t("evl.count", { n: num(e.total.value) })}</span></h1></div>
          <div class="acts"><Columns /><button class="btn" onClick={() => void e.load()} aria-label={t("evl.reload")} title={t("evl.reload")}><Icon name="refresh-cw" /></button></div></header>
        <FilterBar />
        <List />
        <Bulk />
      </section>
      <aside class="right">
        <EventMap />
        {one && <Detail key={one.id} of={one} />}
      </aside>
      <Strong />
    </div>
  );
}

export default function EventsPage() {
  const [, code, what] = s.path.value.split("/");
  return code && what === "replay" ? <Replay key={code} code={decodeURIComponent(code)} /> : <Desk />;
}
