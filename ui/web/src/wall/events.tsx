/** Events by severity with their clock; only the rows in view exist, so 5,000 are as light as five. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Icon, Mark } from "../common/icon";
import { severity } from "../mapkit";
import { num, span, when, called } from "../common/format";
import { t, tt, type Key } from "../common/i18n";
import type { Event } from "../common/types";
import { flyTo } from "./mapview";
import * as s from "./store";
import { placed } from "../common/places";

const ROW = 64;
const HEAD = 28;
const FILTERS: s.Filter[] = ["open", "late", "mine", "closed"];

export function Due({ ev }: { ev: Event }) {
  void s.clock.value;
  if (ev.stage >= 6) return <span class="muted small">{ev.closed_at ? t("event.closed", { s: when(ev.closed_at) }) : tt(ev.state_title)}</span>;
  if (!ev.due_at) return null;
  const left = (Date.parse(ev.due_at) - s.shownNow()) / 1000;
  if (s.isLate(ev)) return <span class="tag late">{t("event.late", { s: span(-left) })}</span>;
  return <span class={left < 600 ? "small soon" : "small muted"}>{t("event.due", { s: span(left) })}</span>;
}

function select(ev: Event): void {
  s.openEvent(ev.id);
  if (ev.point) flyTo(ev.point);
}

function Row({ ev, top }: { ev: Event; top: number }) {
  const on = s.selected.value?.type === "event" && s.selected.value.id === ev.id;
  return (
    <li style={{ top: `${top}px`, height: `${ROW}px` }} class={`row${on ? " on" : ""}${s.hovered.value === ev.id ? " hot" : ""}`} data-code={ev.code}
      onMouseEnter={() => (s.hovered.value = ev.id)} onMouseLeave={() => (s.hovered.value = null)}>
      <button onClick={() => select(ev)} aria-current={on ? "true" : undefined}>
        <Mark level={ev.severity} filled={ev.stage < 3} size={15} />
        <span class="what">
          <span class="line"><span class="cut title"><span class="sr">{tt(severity(ev.severity).title)} </span>{called(ev)}</span><Due ev={ev} /></span>
          <span class="line muted small"><span class="cut">{[placed(ev.district_name), placed(ev.street_name) ?? ev.address].filter(Boolean).join(" · ") || t("event.unplaced")}</span><span class="state">{tt(ev.state_title)}</span></span>
        </span>
      </button>
    </li>
  );
}

interface Item { ev?: Event; head?: number; count?: number; top: number }

function layout(list: Event[], grouped: boolean): { items: Item[]; height: number } {
  const items: Item[] = [];
  let top = 0;
  let last = 0;
  for (const ev of list) {
    if (grouped && ev.severity !== last) {
      last = ev.severity;
      items.push({ head: last, count: list.filter((other) => other.severity === last).length, top });
      top += HEAD;
    }
    items.push({ ev, top });
    top += ROW;
  }
  return { items, height: top };
}

export function EventList() {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [height, setHeight] = useState(600);
  const list = s.shown.value;
  const { items, height: full } = useMemo(() => layout(list, s.filter.value !== "closed"), [list, s.filter.value]);
  useEffect(() => {
    const el = box.current!;
    const watch = new ResizeObserver(() => setHeight(el.clientHeight));
    watch.observe(el);
    return () => watch.disconnect();
  }, []);
  // A selection made on the map brings its row into view.
  const chosen = s.selected.value?.type === "event" ? s.selected.value.id : null;
  useEffect(() => {
    const item = items.find((i) => i.ev?.id === chosen);
    const el = box.current;
    if (item && el && (item.top < el.scrollTop || item.top + ROW > el.scrollTop + el.clientHeight)) el.scrollTop = item.top - HEAD;
  }, [chosen, height]);
  const late = s.events.value.filter(s.isLate).length;
  const counts: Record<s.Filter, number> = { open: s.events.value.length, late, mine: s.events.value.filter((e) => e.actions?.length).length, closed: s.closedEvents.value.length };
  const visible = items.filter((i) => i.top + ROW >= scroll - 200 && i.top <= scroll + height + 200);
  return (
    <section class="events" aria-label={t("events.title")}>
      <h2>{t("events.title")}<span class="grow" /><label class="small muted inview"><input type="checkbox" checked={s.viewOnly.value} onChange={(e) => (s.viewOnly.value = e.currentTarget.checked)} />{t("events.view")}</label></h2>
      <div class="tabs" role="tablist">
        {FILTERS.map((f) => (
          <button role="tab" aria-selected={s.filter.value === f} class={s.filter.value === f ? "on" : ""} onClick={() => (s.filter.value = f)}>
            {t(`events.${f}` as Key)}<b class={f === "late" && late ? "bad" : ""}>{num(counts[f])}</b>
          </button>
        ))}
      </div>
      <div class="scroll rows" ref={box} onScroll={(e) => setScroll(e.currentTarget.scrollTop)} tabIndex={-1}>
        {!items.length && <p class="empty muted"><Icon name="check-check" size={20} />{t(s.filter.value === "open" && !s.viewOnly.value ? "events.none" : "events.none.filter")}</p>}
        <ul style={{ height: `${full}px` }}>
          {visible.map((i) => i.ev ? <Row key={i.ev.id} ev={i.ev} top={i.top} />
            : <li key={`h${i.head}`} class="head small" style={{ top: `${i.top}px`, height: `${HEAD}px` }}><span style={{ color: `var(--${severity(i.head!).token})` }}>{tt(severity(i.head!).title)}</span><span class="muted">{num(i.count!)}</span></li>)}
        </ul>
      </div>
    </section>
  );
}

/** J and K walk through the list as it is shown. */
export function walk(step: number): void {
  const list = s.shown.value;
  if (!list.length) return;
  const at = list.findIndex((ev) => s.selected.value?.type === "event" && ev.id === s.selected.value.id);
  select(list[at < 0 ? (step > 0 ? 0 : list.length - 1) : (at + step + list.length) % list.length]!);
}
