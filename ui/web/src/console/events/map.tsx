/** The same events on the map: a click opens, Shift and a drag picks a box, what is hovered here is lit there. */
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { lang, t } from "../../common/i18n";
import { theme } from "../../common/theme";
import { calm, createMap, IconLayer, liveAtlas, PathLayer, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import * as s from "../state";
import { detailLayers } from "./detailmap";
import * as e from "./store";
import type { Row } from "./types";

const phase = (r: Row) => (r.stage >= 6 ? "closed" : r.stage === 5 ? "verify" : r.stage >= 3 ? "hand" : "new");
const isLate = (r: Row) => !r.final && (r.late || (r.due_at !== null && Date.parse(r.due_at) < Date.now()));

function draw(twin: TwinMap, atlas: ReturnType<typeof liveAtlas>): void {
  const list = e.rows.value.filter((r) => r.point).sort((a, b) => b.severity - a.severity);
  const size = twin.map.getZoom() < 11 ? 20 : twin.map.getZoom() < 13 ? 25 : 32;
  twin.setGroup("events", [new IconLayer<Row>({
    id: "events", data: list, pickable: true, iconAtlas: atlas.atlas as never, iconMapping: atlas.mapping, getPosition: (r) => r.point!, getSize: size, sizeUnits: "pixels",
    getIcon: (r) => `e${Math.min(4, Math.max(1, r.severity))}-${phase(r)}${isLate(r) ? "-late" : ""}`, updateTriggers: { getSize: size, getIcon: theme.value },
  })]);
  const ring = (id: string, of: Row[], radius: number, token: string, width: number) => new ScatterplotLayer<Row>({
    id, data: of.filter((r) => r.point), getPosition: (r) => r.point!, radiusUnits: "pixels", getRadius: radius, stroked: true, filled: false, lineWidthUnits: "pixels", getLineWidth: width, getLineColor: rgba(theme.value, token),
  });
  const hot = e.hot.value ? list.filter((r) => r.code === e.hot.value) : [];
  twin.setGroup("rings", [
    ring("picked", e.pickedRows.value, 17, "mine", 2), ring("hot", hot, 19, "text", 1.5), ring("open", e.opened.value ? [e.opened.value] : [], 20, "selected", 2.5),
  ]);
}

export function EventMap() {
  const host = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<{ x: number; y: number; w: number; h: number } | null>(null);
  useEffect(() => {
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom });
    twin.map.boxZoom.disable();
    let atlas = liveAtlas(theme.value);
    let was = theme.value;
    let framed = false;
    for (const name of ["outline", "routes", "events", "rings", "minutes"]) twin.setGroup(name, []);
    (window as unknown as { twin: unknown }).twin = { map: twin.map, pick: twin.pick, store: e };
    const seen = () => { const b = twin.map.getBounds(); e.box.value = [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]; };
    twin.map.on("moveend", seen);
    twin.map.once("load", seen);
    twin.map.on("zoomend", () => draw(twin, atlas));
    const hit = (p: { x: number; y: number }) => twin.pick(p.x, p.y, ["events"])?.object as Row | undefined;
    twin.map.on("click", (x) => {
      const of = hit(x.point);
      if (of && (x.originalEvent.ctrlKey || x.originalEvent.metaKey)) e.pick(of.code);
      else e.open.value = of?.code ?? null;
    });
    let wait = 0;
    twin.map.on("mousemove", (x) => {
      if (performance.now() < wait) return;
      const began = performance.now();
      const of = hit(x.point);
      wait = performance.now() + Math.max(60, (performance.now() - began) * 8);
      e.hot.value = of?.code ?? null;
      twin.map.getCanvas().style.cursor = of ? "pointer" : "";
    });
    boxPick(twin, setDrag);
    const stops = [
      effect(() => { void [e.rows.value, e.picked.value, e.hot.value, e.open.value]; draw(twin, atlas); }),
      effect(() => { if (theme.value !== was) { was = theme.value; atlas = liveAtlas(was); twin.setTheme(was, lang.value); draw(twin, atlas); } }),
      effect(() => detailLayers(twin, PathLayer)),
      effect(() => {
        const placed = e.rows.value.filter((r) => r.point).map((r) => r.point!);
        if (framed || !placed.length || e.opened.peek()) return;
        framed = true;
        const [xs, ys] = [placed.map((q) => q[0]), placed.map((q) => q[1])];
        twin.map.fitBounds([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], { padding: 48, maxZoom: 14, duration: 0 });
      }),
      effect(() => {
        const at = e.opened.value?.point;
        if (!at || twin.map.getBounds().contains(at)) return;
        const to = { center: at, zoom: Math.max(twin.map.getZoom(), 13.5) };
        if (calm()) twin.map.jumpTo(to); else twin.map.easeTo({ ...to, duration: 500 });
      }),
    ];
    return () => { stops.forEach((f) => f()); twin.map.remove(); };
  }, []);
  return (
    <div class="maphost">
      <div ref={host} class="mapfull" role="application" aria-label={t("evl.map")} />
      {drag && <span class="dragbox" style={{ left: `${drag.x}px`, top: `${drag.y}px`, width: `${drag.w}px`, height: `${drag.h}px` }} />}
      <label class="inview check"><input type="checkbox" name="inView" checked={e.filters.value.inView} onChange={(x) => e.set({ inView: x.currentTarget.checked })} />{t("evl.inview")}</label>
      <p class="hint small muted"><Icon name="square-dashed" size={12} />{t("evl.map.hint")}</p>
    </div>
  );
}

/** Shift and a drag: all events in the box are picked, as if each had been ticked in the list. */
function boxPick(twin: TwinMap, show: (box: { x: number; y: number; w: number; h: number } | null) => void): void {
  const canvas = twin.map.getCanvasContainer();
  let from: { x: number; y: number } | null = null;
  const at = (x: MouseEvent) => { const r = canvas.getBoundingClientRect(); return { x: x.clientX - r.left, y: x.clientY - r.top }; };
  const span = (a: { x: number; y: number }, b: { x: number; y: number }) => ({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) });
  const move = (x: MouseEvent) => { if (from) show(span(from, at(x))); };
  const up = (x: MouseEvent) => {
    const b = from && span(from, at(x));
    from = null;
    show(null);
    removeEventListener("mousemove", move);
    removeEventListener("mouseup", up);
    twin.map.dragPan.enable();
    if (!b || b.w + b.h < 8) return;
    const inside = e.rows.value.filter((r) => { const p = r.point && twin.map.project(r.point); return p && p.x >= b.x && p.x <= b.x + b.w && p.y >= b.y && p.y <= b.y + b.h; });
    e.picked.value = new Set([...e.picked.value, ...inside.map((r) => r.code)]);
  };
  canvas.addEventListener("mousedown", (x) => {
    if (!x.shiftKey || x.button) return;
    x.preventDefault();
    twin.map.dragPan.disable();
    from = at(x);
    addEventListener("mousemove", move);
    addEventListener("mouseup", up);
  }, true);
}
