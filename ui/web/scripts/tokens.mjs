// Writes src/generated/tokens.css from layers/tokens.json: one file of tokens for CSS and map styles alike.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const tokens = JSON.parse(readFileSync(new URL("../../../layers/tokens.json", here), "utf8"));
const name = (key) => `--${key.replaceAll("_", "-")}`;
const block = (theme) =>
  Object.entries(tokens.themes[theme]).map(([key, value]) => `  ${name(key)}: ${value};`).join("\n");
const common = [
  `  --font: ${tokens.font};`,
  ...tokens.type_px.map((px, i) => `  --t${i + 1}: ${px}px;`),
  `  --panel-ms: ${tokens.motion_ms.panel}ms;`,
].join("\n");
const out = new URL("../src/generated/", here);
mkdirSync(out, { recursive: true });
writeFileSync(
  new URL("tokens.css", out),
  `/* Made from layers/tokens.json by scripts/tokens.mjs. */\n:root {\n${common}\n}\n` +
    `:root, [data-theme="night"] {\n  color-scheme: dark;\n${block("night")}\n}\n` +
    `[data-theme="day"] {\n  color-scheme: light;\n${block("day")}\n}\n`,
);
