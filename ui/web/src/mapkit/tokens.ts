/** The tokens of look and feel, for code that paints on a canvas. */
import tokens from "../../../../layers/tokens.json";

export type Theme = "night" | "day";
export type Rgba = [number, number, number, number];

export const raw = tokens;

export function colour(theme: Theme, name: string): string {
  return (tokens.themes[theme] as Record<string, string>)[name] ?? "#ff00ff";
}

/** `#rrggbb` of a token as bytes for deck.gl. */
export function rgba(theme: Theme, name: string, alpha = 255): Rgba {
  const hex = colour(theme, name);
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).concat(alpha) as Rgba;
}

export function severity(level: number): { token: string; shape: string; glyph: string; title: { zh: string; en: string } } {
  return (tokens.severity as never)[String(Math.min(4, Math.max(1, level || 4)))];
}

export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
