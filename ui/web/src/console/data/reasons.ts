/** Reasons and notes of a load in the reader's words: the server says them in one English sentence each. */
import { t, tt, type Key } from "../../common/i18n";
import * as m from "./model";

type Made = (found: string[]) => string;

function field(name: string): string {
  return tt(m.suggested.value?.fields.find((f) => f.name === name)?.title) || name;
}

/** The titles of a code list that was said by its codes. */
function codes(name: string, listed: string): string {
  const known = m.suggested.value?.fields.find((f) => f.name === name)?.codes;
  return listed.split(", ").map((c) => (known?.[c] ? tt(known[c] as never) : c)).join(t("list.comma"));
}

const say = (key: Key, ...names: string[]): Made => (found) => t(key, Object.fromEntries(names.map((n, i) => [n, found[i + 1] ?? ""])));

const WHAT: [RegExp, (name: string, found: string[]) => string][] = [
  [/^'?(.*?)'? is not in the code list \((.*)\)$/, (n, f) => t("reason.codes", { v: f[1]!, l: codes(n, f[2]!) })],
  [/^'?(.*?)'? is no whole number$/, (_, f) => t("reason.integer", { v: f[1]! })],
  [/^'?(.*?)'? is no (?:finite )?number$/, (_, f) => t("reason.number", { v: f[1]! })],
  [/^'?(.*?)'? is neither yes nor no$/, (_, f) => t("reason.boolean", { v: f[1]! })],
  [/^'?(.*?)'? is no date/, (_, f) => t("reason.date", { v: f[1]! })],
  [/^'?(.*?)'? is no time/, (_, f) => t("reason.time", { v: f[1]! })],
  [/^(.*) is below (.*)$/, (_, f) => t("reason.below", { v: f[1]!, n: f[2]! })],
  [/^(.*) is above (.*)$/, (_, f) => t("reason.above", { v: f[1]!, n: f[2]! })],
  [/^'?(.*?)'? does not match (.*)$/, (_, f) => t("reason.pattern", { v: f[1]!, n: f[2]! })],
  [/^(\w+) is required and empty$/, () => t("reason.empty")],
];

const WHOLE: [RegExp, Made][] = [
  [/^(\w+) is required and the file has no column for it$/, (f) => t("reason.nocolumn", { f: field(f[1]!) })],
  [/^no geometry$/, say("reason.nogeometry")],
  [/^a coordinate is not a finite number$/, say("reason.infinite")],
  [/^a coordinate lies outside the world/, say("reason.outside")],
  [/^the shape has no extent/, say("reason.flat")],
  [/^an? (\w+) where an? (\w+) is expected$/, say("reason.family", "v", "n")],
  [/^invalid beyond repair: (.*)$/, say("reason.broken", "v")],
  [/^(\d+) vertices, more than/, say("reason.vertices", "v")],
  [/^(\d+) cells where the header has (\d+)$/, say("reason.cells", "v", "n")],
  [/^the key (.*) is empty$/, say("reason.keyempty", "v")],
  [/^the key '(.*)' stands here twice$/, say("reason.keytwice", "v")],
  [/^the same row stands here twice$/, say("reason.rowtwice")],
  [/^the code '(.*)' belongs to another/, say("reason.codetaken", "v")],
  [/^(\d+) rows were corrected by hand$/, say("note.corrected", "n")],
  [/^columns not used: (.*)$/, say("note.unused", "v")],
  [/^no CRS named: taken as WGS-84/, say("note.nocrs")],
  [/^the declared districts agree with the map for (\S+) as (\w+) and (\S+) as WGS-84/, say("note.shifted", "a", "c", "b")],
  [/^columns adcode and acroutes/, say("note.datav")],
  [/^(\d+) lines before the header were passed over$/, say("note.preamble", "n")],
  [/^the example row was passed over$/, say("note.example")],
  [/^(?:layers|sheets) (.*): (.*) is read/, say("note.layers", "v", "n")],
  [/^folders (.*): all are read/, say("note.folders", "v")],
  [/^the archive holds (.*): (.*) is read/, say("note.layers", "v", "n")],
  [/^(\d+) values of (\w+) name no thing that is known/, (f) => t("note.refs", { n: f[1]!, f: field(f[2]!) })],
  [/^(\d+) rows break (\S+) \((.*)\); loaded$/, say("note.rule", "n", "q", "v")],
];

/** A sentence of the server in the reader's language; one that is not known is left as it is. */
export function told(said: string): string {
  const cut = /^(\w+): (.*)$/.exec(said);
  const known = cut && m.suggested.value?.fields.some((f) => f.name === cut[1]);
  if (known) {
    for (const [form, made] of WHAT) {
      const found = form.exec(cut[2]!);
      if (found) return `${field(cut[1]!)}${t("reason.colon")}${made(cut[1]!, found)}`;
    }
    return `${field(cut[1]!)}${t("reason.colon")}${cut[2]}`;
  }
  for (const [form, made] of WHOLE) {
    const found = form.exec(said);
    if (found) return made(found);
  }
  return said;
}

/** Notes that say something that the page does not show anyway. */
export function worth(notes: string[]): string[] {
  return notes.filter((n) => !n.startsWith("encoding ") && !n.startsWith("columns not used"));
}
