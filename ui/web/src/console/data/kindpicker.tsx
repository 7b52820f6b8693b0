/** Choosing a kind: by its name, its topic, or the topic database that it belongs to. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import * as api from "./api";
import * as m from "./model";

const GEOMETRY: Record<string, Key> = { point: "load.point", line: "load.line", polygon: "load.polygon", none: "load.record" };

interface Group { title: string; kinds: api.Kind[] }

function groups(all: api.Kinds, q: string): Group[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (k: api.Kind, group: string) => {
    const said = `${k.kind} ${k.title.zh} ${k.title.en} ${group}`.toLowerCase();
    return words.every((w) => said.includes(w));
  };
  const made = Object.entries(all.databases).map(([key, d]) => {
    const group = `${d.title.zh} ${d.title.en}`;
    return { title: tt(d.title), kinds: all.kinds.filter((k) => k.databases.includes(key) && fits(k, group)) };
  });
  made.push({ title: t("load.base"), kinds: all.kinds.filter((k) => !k.databases.length && fits(k, "")) });
  // What is itself called so comes before what only belongs to a group that is.
  const own = (k: api.Kind) => (words.length && words.every((w) => `${k.kind} ${k.title.zh} ${k.title.en}`.toLowerCase().includes(w)) ? 0 : 1);
  for (const g of made) g.kinds.sort((a, b) => own(a) - own(b) || Number(a.geometry === "none") - Number(b.geometry === "none"));
  const best = (g: Group) => Math.min(...g.kinds.map(own));
  return made.filter((g) => g.kinds.length).sort((a, b) => best(a) - best(b));
}

export function KindPicker({ value, onChoose, label }: { value: string; onChoose: (kind: string) => void; label: string }) {
  const [open, setOpen] = useState(false);
  const [q, setQ] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const all = m.all.value;
  const found = useMemo(() => (all && open ? groups(all, q) : []), [all, q, open]);
  const flat = found.flatMap((g) => g.kinds.map((k) => ({ g, k })));
  const now = all?.kinds.find((k) => k.kind === value);
  useEffect(() => { list.current?.querySelector(".on")?.scrollIntoView({ block: "nearest" }); }, [at, open]);
  const close = () => { setOpen(false); setQ(""); setAt(0); };
  const take = (k: api.Kind) => { close(); onChoose(k.kind); input.current?.blur(); };
  const key = (e: KeyboardEvent) => {
    if (e.key === "Escape") { e.stopPropagation(); close(); }
    if (e.key === "ArrowDown") { e.preventDefault(); if (open) setAt(Math.min(at + 1, flat.length - 1)); else setOpen(true); }
    if (e.key === "ArrowUp") { e.preventDefault(); setAt(Math.max(at - 1, 0)); }
    if (e.key === "Enter" && open && flat[at]) { e.preventDefault(); take(flat[at]!.k); }
  };
  let n = -1;
  return (
    <div class="kindpicker">
      <Icon name={open ? "search" : now?.icon ?? "layers"} size={18} />
      <input ref={input} type="text" role="combobox" aria-label={label} aria-expanded={open} aria-controls="kind-list" aria-autocomplete="list" autocomplete="off"
        aria-activedescendant={open && flat[at] ? `kind-${at}` : undefined}
        value={open ? q : tt(now?.title) || value} placeholder={now ? tt(now.title) : t("load.kind.search")}
        onFocus={() => setOpen(true)} onClick={() => setOpen(true)} onBlur={() => setTimeout(close, 120)} onInput={(e) => { setQ(e.currentTarget.value); setAt(0); setOpen(true); }} onKeyDown={key} />
      <Icon name="chevron-down" />
      {open && (
        <ul id="kind-list" role="listbox" ref={list} aria-label={label}>
          {found.map((g) => (
            <li role="group" aria-label={g.title}>
              <span class="muted small">{g.title}</span>
              <ul>
                {g.kinds.map((k) => {
                  n += 1;
                  const mine = n;
                  return (
                    <li id={`kind-${mine}`} role="option" aria-selected={k.kind === value} class={mine === at ? "on" : ""} data-kind={k.kind}
                      onMouseDown={(e) => { e.preventDefault(); take(k); }} onMouseEnter={() => setAt(mine)}>
                      <span class="grow cut">{tt(k.title)}</span><span class="muted small">{t(GEOMETRY[k.geometry] ?? "load.record")}</span>
                    </li>
                  );
                })}
              </ul>
            </li>
          ))}
          {!flat.length && <li class="muted none">{t("load.kind.none")}</li>}
        </ul>
      )}
    </div>
  );
}
