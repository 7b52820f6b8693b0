/** The pages of the console: each is loaded when it is opened. */
import type { ComponentType } from "preact";
import type { Key } from "../common/i18n";

export interface Page {
  path: string;
  title: Key;
  icon: string;
  load: () => Promise<{ default: ComponentType }>;
}

export const pages: Page[] = [
  { path: "data", title: "console.data", icon: "upload", load: () => import("./data/page") },
  { path: "catalogue", title: "console.catalogue", icon: "layers", load: () => import("./catalogue/page") },
];
