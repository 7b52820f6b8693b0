/** Alarms: what rings now, the rules that make it ring, what is silenced, what is foreseen, who else is told, updates. */
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { t, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import { Strong } from "../parts/strong";
import * as s from "../state";
import "../accounts/accounts.css";
import "./alarms.css";
import { Linkages } from "./linkages";
import { List } from "./list";
import { Outlook } from "./outlook";
import { North } from "./north";
import { Rules } from "./rules";
import { Silences } from "./silences";
import { counts, why } from "./store";
import { Updates } from "./updates";

const TABS: { key: string; act: string; shown: ComponentType }[] = [
  { key: "list", act: "alarm.read", shown: List },
  { key: "rules", act: "alarm.read", shown: Rules },
  { key: "linkages", act: "alarm.read", shown: Linkages },
  { key: "silences", act: "alarm.read", shown: Silences },
  { key: "outlook", act: "alarm.read", shown: Outlook },
  { key: "north", act: "system.write", shown: North },
  { key: "updates", act: "ota.write", shown: Updates },
];

export default function AlarmsPage() {
  const [, said = "list"] = s.path.value.split("/");
  const tabs = TABS.filter((x) => s.session.value.acts.includes(x.act));
  const tab = tabs.find((x) => x.key === said) ?? tabs[0]!;
  useEffect(() => { why.value = ""; }, [tab.key]);
  const move = (e: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length]!.key;
    s.go(`alarms/${next}`);
    requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
  };
  const Shown = tab.shown, c = counts.value;
  return (
    <div class="page acc alm">
      <Head title={t("alm.title")} about={c ? t("alm.about", { open: c.open, ringing: c.ringing, things: c.things }) : t("alm.about.first")} />
      <div class="tabs" role="tablist" aria-label={t("alm.title")}>{tabs.map((x) => (
        <button role="tab" id={`tab-${x.key}`} aria-selected={x === tab} aria-controls="alm-panel" tabIndex={x === tab ? 0 : -1} onClick={() => s.go(`alarms/${x.key}`)} onKeyDown={move}>{t(`alm.tab.${x.key}` as Key)}</button>
      ))}</div>
      {why.value && <p class="wrong" role="alert">{why.value}</p>}
      <div id="alm-panel" role="tabpanel" aria-labelledby={`tab-${tab.key}`}><Shown /></div>
      <Strong />
    </div>
  );
}
