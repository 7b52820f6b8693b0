/** The pages of the console: each is loaded when it is opened. */
import type { ComponentType } from "preact";
import type { Key } from "../common/i18n";

export interface Page {
  path: string;
  title: Key;
  icon: string;
  /** The act that a role must include; pages without one are everybody's. */
  act?: string;
  load: () => Promise<{ default: ComponentType }>;
}

export const pages: Page[] = [
  { path: "events", title: "console.events", icon: "list", load: () => import("./events/page"), act: "event.read" },
  { path: "dispatch", title: "dsp.title", icon: "truck", load: () => import("./dispatch/page"), act: "event.dispatch" },
  { path: "efficiency", title: "eff.title", icon: "activity", load: () => import("./efficiency/page"), act: "event.read" },
  { path: "contacts", title: "con.title", icon: "book-open", load: () => import("./contacts/page"), act: "alarm.read" },
  { path: "policies", title: "pol.title", icon: "gavel", load: () => import("./policies/page"), act: "event.read" },
  { path: "data", title: "console.data", icon: "upload", load: () => import("./data/page"), act: "data.write" },
  { path: "catalogue", title: "console.catalogue", icon: "layers", load: () => import("./catalogue/page"), act: "map.read" },
  { path: "devices", title: "dev.title", icon: "radio", load: () => import("./devices/page"), act: "map.read" },
  { path: "products", title: "prod.title", icon: "package", load: () => import("./products/page"), act: "map.read" },
  { path: "alarms", title: "alm.title", icon: "siren", load: () => import("./alarms/page"), act: "alarm.read" },
  { path: "indicators", title: "ind.title", icon: "gauge", load: () => import("./indicators/page"), act: "map.read" },
  { path: "boards", title: "boards.title", icon: "layout-dashboard", load: () => import("./boards/page"), act: "event.read" },
  { path: "layers", title: "styles.title", icon: "spray-can", load: () => import("./styles/page"), act: "map.read" },
  { path: "acceptance", title: "acc.title", icon: "shield-check", load: () => import("./acceptance/page"), act: "map.read" },
  { path: "accounts", title: "console.accounts", icon: "users", load: () => import("./accounts/page"), act: "user.read" },
  { path: "audit", title: "console.audit", icon: "shield-check", load: () => import("./audit/page"), act: "audit.read" },
  { path: "me", title: "console.me", icon: "id-card", load: () => import("./me/page") },
];
