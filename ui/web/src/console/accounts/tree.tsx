/** The organisation tree: moved through by arrows, opened and shut, each place with its people. */
import { signal } from "@preact/signals";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { children, chosen, people, place, places, under } from "./store";
import type { Place } from "./types";

const open = signal<Set<string>>(new Set(["bureau"]));
const ICONS: Record<string, string> = { city: "landmark", unit: "building-2", district: "map", street: "signpost", grid: "table", village: "house", contractor: "hard-hat" };

const shown = (): Place[] => {
  const walk = (parent: string | null): Place[] => children(parent).flatMap((p) => [p, ...(open.value.has(p.code) ? walk(p.code) : [])]);
  return walk(null);
};
const depth = (p: Place): number => (p.parent ? 1 + depth(place(p.parent)!) : 1);

function toggle(code: string, to?: boolean): void {
  const next = new Set(open.value);
  if (to ?? !next.has(code)) next.add(code); else next.delete(code);
  open.value = next;
}

function key(e: KeyboardEvent, p: Place): void {
  const rows = shown();
  const at = rows.findIndex((r) => r.code === p.code);
  const kids = children(p.code).length > 0;
  const goTo = (code: string | null | undefined) => { if (code) { chosen.value = code; requestAnimationFrame(() => document.getElementById(`place-${code}`)?.focus()); } };
  const does: Record<string, () => void> = {
    ArrowDown: () => goTo(rows[at + 1]?.code),
    ArrowUp: () => goTo(rows[at - 1]?.code),
    ArrowRight: () => (kids && !open.value.has(p.code) ? toggle(p.code, true) : goTo(children(p.code)[0]?.code)),
    ArrowLeft: () => (kids && open.value.has(p.code) ? toggle(p.code, false) : goTo(p.parent)),
    Home: () => goTo(rows[0]?.code),
    End: () => goTo(rows.at(-1)?.code),
    Enter: () => toggle(p.code),
    " ": () => toggle(p.code),
  };
  if (does[e.key]) { e.preventDefault(); does[e.key]!(); }
}

export function Tree() {
  const first = chosen.value || places.value.find((p) => !p.parent)?.code;
  return (
    <div class="tree" role="tree" aria-label={t("acc.tree")}>
      {shown().map((p) => {
        const kids = children(p.code);
        const all = under(p.code);
        const many = people.value.filter((a) => (a.organisation ? all.has(a.organisation) : !p.parent)).length;
        return (
          <div role="treeitem" id={`place-${p.code}`} aria-level={depth(p)} aria-selected={chosen.value === p.code} aria-expanded={kids.length ? open.value.has(p.code) : undefined}
            tabIndex={p.code === first ? 0 : -1} class={p.closed ? "closed" : ""} style={{ paddingLeft: `${8 + (depth(p) - 1) * 16}px` }}
            onClick={() => { if (chosen.value === p.code) toggle(p.code); else { chosen.value = p.code; toggle(p.code, true); } }} onKeyDown={(e) => key(e, p)}>
            <span class="turn">{kids.length > 0 && <Icon name={open.value.has(p.code) ? "chevron-down" : "chevron-right"} size={14} />}</span>
            <Icon name={ICONS[p.type]!} size={16} /><span class="grow cut" title={p.code}>{tt(p.name)}</span>{many > 0 && <i>{many}</i>}
          </div>
        );
      })}
    </div>
  );
}
