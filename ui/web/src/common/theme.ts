/** Night or day, kept per screen. */
import { signal } from "@preact/signals";
import type { Theme } from "../mapkit";

export const theme = signal<Theme>("night");

export function startTheme(screen: string, fallback: Theme): void {
  const asked = new URLSearchParams(location.search).get("theme") ?? localStorage.getItem(`theme.${screen}`);
  setTheme(asked === "day" || asked === "night" ? asked : fallback, screen, false);
}

export function setTheme(next: Theme, screen: string, keep = true): void {
  theme.value = next;
  document.documentElement.dataset.theme = next;
  document.cookie = `look.${screen}=${next}; path=/; max-age=31536000; samesite=lax`;
  if (keep) localStorage.setItem(`theme.${screen}`, next);
}
