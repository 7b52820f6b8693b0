/** People and places: the tree on the left, its people, roles and the keys of partners on the right. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import { Strong } from "../parts/strong";
import * as s from "../state";
import "./accounts.css";
import { Keys } from "./keys";
import { People } from "./people";
import { PlaceHead } from "./place";
import { chosen, people, places, read, roles } from "./store";
import { Tree } from "./tree";

const TABS = ["people", "roles", "keys"] as const;

function Roles() {
  const acts = [...new Set(roles.value.flatMap((r) => r.acts))].sort();
  return (
    <div class="tablebox" role="region" aria-label={t("acc.tab.roles")} tabIndex={0}>
      <table class="table matrix">
        <thead><tr><th scope="col">{t("acc.role")}</th><th scope="col" class="number">{t("acc.people")}</th>{acts.map((a) => <th scope="col"><code>{a}</code></th>)}</tr></thead>
        <tbody>{roles.value.map((r) => (
          <tr><th scope="row"><b>{tt(r.title)}</b>{r.second_factor && <span title={t("acc.factor.asked")}><Icon name="shield-check" size={14} /><span class="sr">{t("acc.factor.asked")}</span></span>}</th>
            <td class="number">{people.value.filter((p) => p.roles.includes(r.key)).length}</td>
            {acts.map((a) => <td>{r.acts.includes(a) && <span class="yes"><Icon name="check" /><span class="sr">{t("acc.may")}</span></span>}</td>)}</tr>
        ))}</tbody>
      </table>
    </div>
  );
}

export default function AccountsPage() {
  const [why, setWhy] = useState("");
  const [, said = "people"] = s.path.value.split("/");
  const tab = TABS.find((x) => x === said) ?? "people";
  const writes = s.session.value.acts.includes("user.write");
  useEffect(() => { read().then(() => { if (!chosen.value) chosen.value = places.value.find((p) => !p.parent)?.code ?? ""; }, (e: Error) => setWhy(e.message)); }, []);
  const move = (e: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!;
    s.go(`accounts/${next}`);
    requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
  };
  return (
    <div class="page acc">
      <Head title={t("console.accounts")} about={t("acc.about", { people: people.value.filter((p) => !p.disabled).length, places: places.value.filter((p) => !p.closed).length })} />
      {why && <p class="wrong" role="alert">{why}</p>}
      <div class="tabs" role="tablist" aria-label={t("console.accounts")}>{TABS.map((x) => (
        <button role="tab" id={`tab-${x}`} aria-selected={x === tab} aria-controls="acc-panel" tabIndex={x === tab ? 0 : -1} onClick={() => s.go(`accounts/${x}`)} onKeyDown={move}>{t(`acc.tab.${x}` as Key)}</button>
      ))}</div>
      <div id="acc-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "people" && places.value.length > 0 && <div class="split"><Tree /><div class="grow"><PlaceHead code={chosen.value} writes={writes} /><People writes={writes} /></div></div>}
        {tab === "roles" && <Roles />}
        {tab === "keys" && <Keys writes={writes} />}
      </div>
      <Strong />
    </div>
  );
}
