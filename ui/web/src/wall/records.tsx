/** What hangs on a thing (inspections, work, tonnage, animals) and what refers to it; and its QR code. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../common/icon";
import { get } from "../common/api";
import { when } from "../common/format";
import { t, tt } from "../common/i18n";
import type { Thing, Titled } from "../common/types";
import * as s from "./store";

interface Row { num: number; code: string; name: string; values: Record<string, unknown>; text: Record<string, Titled> }
interface Group { kind: string; title: Titled; total: number; happened: string | null; fields: { key: string; title: Titled; unit: Titled | null }[]; rows: Row[] }
interface Linked { kind: string; title: Titled; relation: string; relation_title: Titled; total: number; things: { num: number; code: string; name: string }[] }

function said(group: Group, row: Row, key: string): string {
  const value = row.values[key];
  if (typeof value === "boolean") return t(value ? "value.yes" : "value.no");
  const unit = group.fields.find((f) => f.key === key)?.unit;
  const text = key === group.happened ? when(String(value)) : tt(row.text[key]) || String(value);
  return unit && typeof value === "number" ? `${text} ${tt(unit)}` : text;
}

function Rows({ group }: { group: Group }) {
  return (
    <ol class="records">
      {group.rows.map((row) => (
        <li key={row.num}>
          {group.happened && row.values[group.happened] !== undefined && <time class="muted small">{said(group, row, group.happened)}</time>}
          <div>
            {row.name && <b>{row.name}</b>}
            <p class="small">{group.fields.filter((f) => f.key !== group.happened && row.values[f.key] !== undefined).slice(0, 5)
              .map((f) => <span><span class="muted">{tt(f.title)}</span> {said(group, row, f.key)}</span>)}</p>
          </div>
        </li>
      ))}
      {group.total > group.rows.length && <li class="muted small">{t("thing.more", { n: group.total - group.rows.length })}</li>}
    </ol>
  );
}

export function Records({ th }: { th: Thing }) {
  const [found, setFound] = useState<{ records: Group[]; linked: Linked[] } | null>(null);
  useEffect(() => {
    setFound(null);
    let here = true;
    get<{ records: Group[]; linked: Linked[] }>(`/api/v1/things/${th.num}/records`).then((r) => here && setFound(r), () => here && setFound({ records: [], linked: [] }));
    return () => { here = false; };
  }, [th.num, th.version]);
  if (!found || (!found.records.length && !found.linked.length)) return null;
  return (
    <>
      <h3>{t("thing.records")}</h3>
      {found.records.map((g, i) => (
        <details class="group" open={i === 0 && g.total <= 20} key={g.kind}><summary><Icon name="chevron-right" size={14} /><span class="grow">{tt(g.title)}</span><b>{g.total}</b></summary><Rows group={g} /></details>
      ))}
      {found.linked.map((g) => (
        <details class="group" key={g.kind + g.relation}><summary><Icon name="chevron-right" size={14} /><span class="grow">{tt(g.title)} <span class="muted small">{tt(g.relation_title)}</span></span><b>{g.total}</b></summary>
          <ul class="mini">{g.things.map((one) => <li key={one.num}><button onClick={() => s.openThing(one.code)}><span class="grow cut">{one.name || one.code}</span><span class="muted small">{one.code}</span></button></li>)}</ul>
        </details>
      ))}
    </>
  );
}

export function Code({ th }: { th: Thing }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="plain" aria-label={t("thing.code")} aria-expanded={open} title={t("thing.code")} onClick={() => setOpen(!open)}><Icon name="qr-code" size={18} /></button>
      {open && (
        <figure class="qr">
          <img src={`/api/v1/codes/${th.code}.svg`} alt={`${t("thing.code")} ${th.code}`} width={168} height={168} />
          <figcaption class="small">{th.code}<br />
            <a href={`/api/v1/codes/${th.code}.png?scale=16`} download={`${th.code}.png`}>PNG</a> · <a href={`/api/v1/codes/labels.pdf?kind=${th.kind}&codes=${th.code}`} download>{t("thing.label")}</a>
            {th.public && <> · <a href={`/c/${th.code}`} target="_blank" rel="noopener">{t("thing.page")}</a></>}
          </figcaption>
        </figure>
      )}
    </>
  );
}
