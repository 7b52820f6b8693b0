/** The rail at the left: one button a tool, one panel open at a time. */
import { Icon } from "../common/icon";
import { t, type Key } from "../common/i18n";
import { Cameras } from "./cameras";
import { Compare } from "./compare";
import { Contacts } from "./contacts";
import { Devices } from "./devices";
import { Fences } from "./fences";
import { Layers } from "./layers";
import { Plans } from "./plans";
import { Measure, Plots } from "./plots";
import { Scenes } from "./scenes";
import { Screens } from "./screens";
import { SelectPanel } from "./selectpanel";
import * as s from "./store";
import { stopDraw } from "./toolstore";
import { TopicPanel } from "./topic";
import type { ComponentType } from "preact";

interface Tool { name: s.PanelName; icon: string; panel: ComponentType; act?: string }

export const TOOLS: Tool[] = [
  { name: "layers", icon: "layers", panel: Layers },
  { name: "devices", icon: "radio", panel: Devices },
  { name: "topic", icon: "layout-dashboard", panel: TopicPanel },
  { name: "select", icon: "lasso", panel: SelectPanel },
  { name: "cameras", icon: "cctv", panel: Cameras },
  { name: "measure", icon: "ruler", panel: Measure },
  { name: "plot", icon: "pen-line", panel: Plots },
  { name: "fences", icon: "fence", panel: Fences, act: "alarm.read" },
  { name: "compare", icon: "git-compare", panel: Compare },
  { name: "scenes", icon: "presentation", panel: Scenes },
  { name: "plans", icon: "shield-alert", panel: Plans, act: "alarm.read" },
  { name: "contacts", icon: "book-open", panel: Contacts, act: "alarm.read" },
  { name: "screens", icon: "monitor", panel: Screens },
];

export function openPanel(name: s.PanelName | null): void {
  stopDraw();
  s.panel.value = name;
}

export function Rail() {
  const open = TOOLS.find((one) => one.name === s.panel.value);
  const Open = open?.panel;
  return (
    <>
      <nav class="rail panel" aria-label={t("rail.title")}>
        {TOOLS.filter((one) => !one.act || s.session.value.acts.includes(one.act)).map((one) => {
          const on = s.panel.value === one.name;
          return (
            <button class={`${one.name === "layers" ? "fold" : ""}${on ? " on" : ""}`} aria-expanded={on} data-tool={one.name} onClick={() => openPanel(on ? null : one.name)}>
              <Icon name={one.icon} size={20} /><span>{t(`rail.${one.name}` as Key)}</span>
            </button>
          );
        })}
      </nav>
      {Open && (
        <aside class={`drawer panel ${open.name}`} aria-label={t(`rail.${open.name}` as Key)}>
          <Open />
        </aside>
      )}
    </>
  );
}

/** The head of a panel: its name, what stands beside it, and the way to close it. */
export function Head({ title, children }: { title: string; children?: preact.ComponentChildren }) {
  return (
    <h2>{title}<span class="grow" />{children}<button class="plain" aria-label={t("panel.close")} title="Esc" onClick={() => openPanel(null)}><Icon name="x" /></button></h2>
  );
}
