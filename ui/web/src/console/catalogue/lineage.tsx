/** Where the data come from and where they go: files → loads → the kind → what is made of it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, when } from "../../common/format";
import { t, tt, type Key } from "../../common/i18n";
import * as s from "../state";
import type { Detail, Edge, Graph, Node } from "./types";

const LANES = ["source", "load", "kind", "product"];
const HIGH = 52, GAP = 16, TOP = 40;

interface Placed { node: Node; x: number; y: number; w: number }

/** Four columns; each is centred on the tallest, so that edges run level where they can. */
function layout(graph: Graph, width: number): { placed: Map<string, Placed>; height: number } {
  const lanes = LANES.filter((lane) => graph.nodes.some((n) => n.lane === lane));
  const room = Math.max(72, width * 0.075);
  const w = Math.min(300, (width - room * (lanes.length - 1)) / lanes.length);
  // A graph of few columns stays together instead of stretching over a wide screen.
  const gap = Math.min((width - w * lanes.length) / Math.max(1, lanes.length - 1), 200);
  const columns = lanes.map((lane) => graph.nodes.filter((n) => n.lane === lane));
  const tall = Math.max(...columns.map((c) => c.length)) * (HIGH + GAP) - GAP;
  const placed = new Map<string, Placed>();
  columns.forEach((column, i) => {
    const start = TOP + (tall - (column.length * (HIGH + GAP) - GAP)) / 2;
    column.forEach((node, j) => placed.set(node.id, { node, x: i * (w + gap), y: start + j * (HIGH + GAP), w }));
  });
  return { placed, height: TOP + tall + 8 };
}

function label(n: Node): [string, string] {
  if (n.lane === "kind") return [tt(n.title), t("cat.rows", { n: num(n.things ?? 0) })];
  if (n.lane === "load" && n.label === "older") return [t("cat.older", { n: n.loads ?? 0 }), t("cat.rows", { n: num(n.inserted ?? 0) })];
  if (n.direct) return [n.label === "demo" ? t("cat.generated") : n.label, t("cat.direct", { n: num(n.things ?? 0) })];
  if (n.lane === "load") return [`${n.label}  ${n.at ? when(n.at) : ""}`, n.undone_at ? t("cat.undone") : t("cat.loadrows", { i: num(n.inserted ?? 0), u: num(n.updated ?? 0) })];
  if (n.lane === "product") return [t(`cat.product.${n.label}` as Key), n.href ?? ""];
  return [n.label, n.source && n.source !== n.label ? n.source : t("cat.sourcefile")];
}

const cut = (text: string, w: number, px: number) => {
  // Chinese signs are as wide as they are high, others about half: enough to keep text inside its box.
  let room = (w - 28) / px, out = "";
  for (const c of text) { room -= c > "\u2e80" ? 1 : 0.56; if (room < 0) return out + "…"; out += c; }
  return out;
};

function Box({ at }: { at: Placed }) {
  const { node, x, y, w } = at;
  const [head, sub] = label(node);
  const link = node.lane === "product" && node.href && !node.href.includes("{") ? node.href : null;
  const body = (
    <g class={`box ${node.lane} ${node.undone_at ? "undone" : ""}`} transform={`translate(${x} ${y})`}>
      <title>{`${head} ${sub}`}</title>
      <rect width={w} height={HIGH} rx="4" />
      {node.lane === "kind" && <rect class="edge" width="4" height={HIGH} />}
      <text x="14" y="21" class="headline">{cut(head, w, 14)}</text>
      <text x="14" y="40" class="subline">{cut(sub, w, 12)}</text>
    </g>
  );
  return link ? <a href={link}>{body}</a> : body;
}

function Line({ edge, placed, most }: { edge: Edge; placed: Map<string, Placed>; most: number }) {
  const a = placed.get(edge.from), b = placed.get(edge.to);
  if (!a || !b) return null;
  const [x1, y1, x2, y2] = [a.x + a.w, a.y + HIGH / 2, b.x, b.y + HIGH / 2];
  const mid = (x1 + x2) / 2;
  const rows = edge.rows.out, bad = edge.rows.rejected ?? 0;
  const wide = 1.25 + 4.75 * (Math.log1p(rows) / Math.log1p(most || 1));
  return (
    <g class={`flow ${a.node.undone_at ? "undone" : ""}`}>
      <path d={`M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`} stroke-width={wide} />
      {a.node.lane === "source" && (
        <text x={x2 - 8} y={y2 - 8} text-anchor="end">
          {num(edge.rows.in ?? rows)}{bad > 0 && <tspan class="bad" dx="6">{t("cat.rejected", { n: num(bad) })}</tspan>}
        </text>
      )}
    </g>
  );
}

export function Lineage({ of }: { of: Detail }) {
  const [graph, setGraph] = useState<Graph | null>(null);
  const [width, setWidth] = useState(1080);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    get<Graph>(`/api/v1/catalogue/${of.kind}/lineage`).then(setGraph, (why: Error) => s.tell(why.message, true));
  }, [of.kind]);
  useEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(Math.max(760, Math.floor(e!.contentRect.width))));
    watch.observe(frame.current!);
    return () => watch.disconnect();
  }, []);
  const { placed, height } = graph ? layout(graph, width) : { placed: new Map<string, Placed>(), height: 200 };
  const most = Math.max(1, ...(graph?.edges ?? []).map((e) => e.rows.out));
  const at = (lane: string) => [...placed.values()].find((p) => p.node.lane === lane)?.x;
  return (
    <div class="lineage" ref={frame} aria-busy={!graph}>
      {graph && (
        <svg width={width} height={height} role="group" aria-label={t("cat.lineage.label", { kind: tt(of.title), n: graph.nodes.filter((n) => n.lane === "load").length })}>
          {LANES.map((lane) => at(lane) !== undefined && <text class="lane" x={at(lane)} y="16">{t(`cat.lane.${lane}` as Key)}</text>)}
          {graph.edges.map((edge) => <Line edge={edge} placed={placed} most={most} />)}
          {[...placed.values()].map((p) => <Box at={p} />)}
        </svg>
      )}
    </div>
  );
}
