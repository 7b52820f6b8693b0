// After vite: the service worker with its list of shell files, and a .gz beside every text file.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const files = () => readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile()).map((f) => `${f.parentPath}/${f.name}`.replace(dist.pathname, "").replace(/^\//, ""));

// The phone's shell: the patrol page and everything that it links to, directly or through a module.
const shell = new Set();
const visit = (file) => {
  if (shell.has(file)) return;
  shell.add(file);
  if (!/\.(html|js|css)$/.test(file)) return;
  const text = readFileSync(new URL(file, dist), "utf8");
  for (const other of files()) if (other !== file && !other.endsWith(".html") && text.includes(other.split("/").pop())) visit(other);
};
visit("patrol.html");
const list = [...shell].filter((f) => f !== "patrol.html").map((f) => `/ui/${f}`).concat("/patrol").sort();
const version = createHash("sha256").update([...shell].sort().map((f) => readFileSync(new URL(f, dist))).join()).digest("hex").slice(0, 12);
const worker = readFileSync(new URL("../src/patrol/sw.js", import.meta.url), "utf8")
  .replace("__VERSION__", version).replace("__SHELL__", JSON.stringify(list));
writeFileSync(new URL("sw.js", dist), worker);

for (const file of files())
  if (/\.(js|css|html|json|svg|webmanifest)$/.test(file))
    writeFileSync(new URL(`${file}.gz`, dist), gzipSync(readFileSync(new URL(file, dist)), { level: 9 }));
