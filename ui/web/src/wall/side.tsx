/** The right side: events or alarms, and under them the card of what is selected. */
import { signal } from "@preact/signals";
import { t } from "../common/i18n";
import { num } from "../common/format";
import { AlarmCard, AlarmList, ringingNow } from "./alarms";
import { EventCard } from "./eventcard";
import { EventList } from "./events";
import { screen } from "./place";
import * as s from "./store";
import { ReportCard, ThingCard } from "./thingcard";

export type SideTab = "events" | "alarms";
const tab = signal<SideTab>(screen === "c" ? "alarms" : "events");

export const sideTab = (): SideTab => tab.value;

export function setSideTab(next: SideTab): void {
  tab.value = next;
}

function Card() {
  const sel = s.selected.value;
  if (s.reporting.value) return <ReportCard />;
  if (sel?.type === "event") return <EventCard key={sel.id} id={sel.id} />;
  if (sel?.type === "alarm") return <AlarmCard key={sel.id} code={sel.id} />;
  return sel ? <ThingCard /> : null;
}

export function Side() {
  const open = s.reporting.value || s.selected.value;
  // Screens a and b are boards: what is selected comes beside them, lists belong to the main screen and to c.
  if (screen === "a" || screen === "b") return open ? <aside class="side panel alone"><Card /></aside> : null;
  const alarms = s.session.value.acts.includes("alarm.read");
  const tabs: [SideTab, string, number, boolean][] = [
    ["events", t("events.title"), s.events.value.length, s.events.value.some((e) => e.severity === 1)],
    ["alarms", t("alarms.title"), ringingNow(), ringingNow() > 0],
  ];
  return (
    <aside class={open ? "side panel two" : "side panel"}>
      {alarms && (
        <div class="sides" role="tablist" aria-label={t("side.title")}>
          {tabs.map(([key, title, n, hot]) => <button role="tab" aria-selected={tab.value === key} class={tab.value === key ? "on" : ""} data-side={key} onClick={() => setSideTab(key)}>{title}<b class={hot ? "bad" : "muted"}>{num(n)}</b></button>)}
        </div>
      )}
      {tab.value === "alarms" && alarms ? <AlarmList /> : <EventList />}
      <Card />
    </aside>
  );
}
