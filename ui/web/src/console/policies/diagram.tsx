/** The process as it lives: a column a stage, a box a state with what is in it now, ways as thick as they are used. */
import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { num, span } from "../../common/format";
import { t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { draft, flow } from "./store";
import type { FlowState, Json } from "./types";

const W = 148, H = 68, GAP_X = 62, GAP_Y = 46, TOP = 44, LEFT = 20;
export const chosen = signal<{ state?: string; action?: string } | null>(null);
type Obj = Record<string, Json>;
interface Box { name: string; x: number; y: number; title: Titled; stage: number; final: boolean; of?: FlowState }
interface Way { action: string; title: Titled; from: Box; to: Box; n: number; lane: number }

function layout(doc: Obj, states: FlowState[], counts: Map<string, number>): { boxes: Box[]; ways: Way[]; width: number; height: number; columns: number[] } {
  const said = Object.entries(doc["states"] as Obj) as [string, Obj][];
  const stages = [...new Set(said.map(([, v]) => Number(v["stage"])))].sort((a, b) => a - b);
  const filled = new Map<number, number>();
  // The end that most ways lead to closes the row; other ends hang below the states they are reached from.
  const actions = Object.values(doc["actions"] as Obj) as Obj[];
  const sources = (name: string) => actions.filter((a) => a["to"] === name).flatMap((a) => a["from"] as string[]);
  const stageOf = new Map(said.map(([name, v]) => [name, stages.indexOf(Number(v["stage"]))]));
  const reach = (name: string) => Math.max(...sources(name).map((x) => stageOf.get(x) ?? 0), 0);
  const finals = said.filter(([, v]) => v["final"] === true).map(([name]) => name);
  const main = [...finals].sort((a, b) => reach(b) - reach(a))[0];
  const ordered = [...said.filter(([name]) => !finals.includes(name) || name === main), ...said.filter(([name]) => finals.includes(name) && name !== main)];
  const boxes = ordered.map(([name, v]): Box => {
    const hung = finals.includes(name) && name !== main && sources(name).length > 0;
    const column = hung ? [...new Set(sources(name).map((x) => stageOf.get(x) ?? 0))].sort((a, b) => (filled.get(a) ?? 0) - (filled.get(b) ?? 0) || b - a)[0]! : stages.indexOf(Number(v["stage"]));
    const row = Math.max(filled.get(column) ?? 0, hung ? 2 : 0);
    filled.set(column, row + 1);
    return { name, x: LEFT + column * (W + GAP_X), y: TOP + row * (H + GAP_Y), title: v["title"] as unknown as Titled, stage: Number(v["stage"]), final: v["final"] === true, of: states.find((s) => s.state === name) };
  });
  const by = new Map(boxes.map((b) => [b.name, b]));
  const lanes = new Map<string, number>();
  const ways: Way[] = [];
  for (const [action, a] of Object.entries(doc["actions"] as Obj) as [string, Obj][])
    for (const from of a["from"] as string[]) {
      const to = a["to"] === "same" ? from : (a["to"] as string);
      const [f, g] = [by.get(from), by.get(to)];
      if (!f || !g || f === g) continue;
      const pair = `${from}>${to}`;
      lanes.set(pair, (lanes.get(pair) ?? -1) + 1);
      ways.push({ action, title: a["title"] as unknown as Titled, from: f, to: g, n: counts.get(`${action}:${from}:${to}`) ?? 0, lane: lanes.get(pair)! });
    }
  const rows = Math.max(...filled.values());
  return { boxes, ways, width: LEFT * 2 + stages.length * (W + GAP_X) - GAP_X, height: TOP + rows * (H + GAP_Y) + 20, columns: stages };
}

/** A way from edge to edge: forward straight over the gap, back below the boxes, within a column along its side. */
function path(w: Way): { d: string; x: number; y: number } {
  const { from: a, to: b } = w;
  const off = w.lane * 12;
  if (b.x > a.x) {
    const far = b.x - a.x > W + GAP_X + 1;
    const [x1, y1, x2, y2] = [a.x + W, a.y + H / 2 - 8 + off, b.x, b.y + H / 2 - 8 + off];
    const mx = (x1 + x2) / 2;
    const bend = far && Math.abs(y1 - y2) < H / 2 ? -34 - off : 0;
    return { d: bend ? `M${x1} ${y1}C${x1 + 40} ${y1 + bend * 1.6} ${x2 - 40} ${y2 + bend * 1.6} ${x2} ${y2}` : `M${x1} ${y1}C${mx} ${y1} ${mx} ${y2} ${x2} ${y2}`, x: mx, y: (y1 + y2) / 2 + (bend ? bend * 1.2 : -5) };
  }
  if (b.x < a.x) {
    const [x1, y1, x2, y2] = [a.x + W / 2 - 20 + off, a.y + H, b.x + W / 2 + 20 + off, b.y + H];
    const low = Math.max(y1, y2) + 24 + off;
    return { d: `M${x1} ${y1}C${x1} ${low} ${x2} ${low} ${x2} ${y2}`, x: (x1 + x2) / 2, y: low - 6 };
  }
  const down = b.y > a.y;
  const side = down ? a.x + 26 + off : a.x + W - 26 - off;
  const [y1, y2] = down ? [a.y + H, b.y] : [a.y, b.y + H];
  const bow = Math.abs(y2 - y1) > GAP_Y + 2 ? (down ? -44 : 44) : 0;
  return { d: `M${side} ${y1}C${side + bow} ${(y1 * 2 + y2) / 3} ${side + bow} ${(y1 + y2 * 2) / 3} ${side} ${y2}`, x: side + bow * 0.7 + (down ? -4 : 4), y: (y1 + y2) / 2 };
}

function State({ b }: { b: Box }) {
  const on = chosen.value?.state === b.name;
  const open = b.of?.open ?? 0, late = b.of?.late ?? 0;
  const pick = () => (chosen.value = on ? null : { state: b.name });
  return (
    <g class={`state s${b.stage}${b.final ? " final" : ""}${on ? " on" : ""}${open ? " full" : ""}`} transform={`translate(${b.x} ${b.y})`} role="button" tabIndex={0} data-state={b.name}
      aria-label={`${tt(b.title)}: ${t("pol.flow.open", { n: open })}${late ? `, ${t("pol.flow.late", { n: late })}` : ""}`} onClick={pick} onKeyDown={(e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); pick(); } }}>
      <rect width={W} height={H} rx={b.final ? 34 : 6} />
      <text x={b.final ? 22 : 14} y={27} class="name">{tt(b.title)}</text>
      {!b.final && <text x={W - 14} y={28} text-anchor="end" class="many">{num(open)}</text>}
      <text x={b.final ? 22 : 14} y={50} class="stay">{b.of?.median_s ? t("pol.flow.stay", { m: span(b.of.median_s), p: span(b.of.p90_s ?? b.of.median_s) }) : b.final ? "" : t("pol.flow.nostay")}</text>
      {late > 0 && <g transform={`translate(${W - 12} -8)`}><rect x={-44} width={52} height={18} rx={3} class="latebox" /><text x={-18} y={13} text-anchor="middle" class="latetext">{t("pol.flow.late", { n: late })}</text></g>}
    </g>
  );
}

export function Diagram() {
  const doc = draft.value as unknown as Obj;
  const live = flow.value;
  const { boxes, ways, width, height, columns } = useMemo(() => layout(doc, live?.states ?? [], new Map((live?.arcs ?? []).map((a) => [`${a.action}:${a.from}:${a.to}`, a.n]))), [doc, live]);
  const most = Math.max(1, ...ways.map((w) => w.n));
  const hot = chosen.value;
  return (
    <div class={`diagram${hot ? " picking" : ""}`} role="group" aria-label={t("pol.diagram")}>
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height}>
        <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" /></marker><marker id="tipon" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" /></marker></defs>
        {columns.map((stage, i) => <text x={LEFT + i * (W + GAP_X)} y={22} class="stage">{stage <= 6 ? t(`stage.${stage}` as Key) : stage}</text>)}
        {ways.map((w) => {
          const on = hot?.action === w.action || (hot?.state !== undefined && (hot.state === w.from.name || hot.state === w.to.name));
          const p = path(w);
          const pick = () => (chosen.value = hot?.action === w.action ? null : { action: w.action });
          return (
            <g class={`way${on ? " on" : ""}${w.n ? "" : " never"}`} data-action={w.action} onClick={pick}>
              <path d={p.d} class="hit" /><path d={p.d} class="line" stroke-width={on ? Math.max(2, 1 + 5 * Math.sqrt(w.n / most)) : 1 + 5 * Math.sqrt(w.n / most)} marker-end={on ? "url(#tipon)" : "url(#tip)"} />
              {(on || w.n > 0) && <text x={p.x} y={p.y} text-anchor="middle">{on ? `${tt(w.title)}${w.n ? ` ${num(w.n)}` : ""}` : num(w.n)}</text>}
            </g>
          );
        })}
        {boxes.map((b) => <State key={b.name} b={b} />)}
      </svg>
    </div>
  );
}
