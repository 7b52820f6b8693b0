/** The years of a calendar: each day works or rests, a click turns it; a year that is not listed is not published yet. */
import { num } from "../../common/format";
import { t } from "../../common/i18n";
import * as p from "./store";
import type { Json } from "./types";

type Year = { rest?: string[]; work?: string[]; source?: string };
const two = (n: number) => String(n).padStart(2, "0");

export function CalendarYears() {
  const doc = p.draft.value! as unknown as { week: number[]; years?: Record<string, Year>; fixed?: string[]; always?: boolean };
  if (doc.always) return <p class="muted">{t("pol.cal.always")}</p>;
  const known = Object.keys(doc.years ?? {}).sort();
  const next = String(Number(known[known.length - 1] ?? new Date().getFullYear()) + 1);
  const works = (year: Year, at: Date): boolean => {
    const said = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const plain = doc.week.includes(at.getUTCDay() || 7);
    return year.work?.includes(said) ? true : year.rest?.includes(said) ? false : plain;
  };
  const turn = (name: string, at: Date) => {
    const year = structuredClone(doc.years![name]!);
    const said = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const plain = doc.week.includes(at.getUTCDay() || 7), now = works(year, at);
    year.rest = (year.rest ?? []).filter((d) => d !== said);
    year.work = (year.work ?? []).filter((d) => d !== said);
    if (now && plain) year.rest = [...year.rest, said].sort();
    if (!now && !plain) year.work = [...year.work, said].sort();
    p.put(["years", name], year as unknown as Json);
  };
  return (
    <div class="years">
      {[...known].reverse().map((name) => {
        const year = doc.years![name]!;
        let count = 0;
        const months = Array.from({ length: 12 }, (_, m) => {
          const days = new Date(Date.UTC(Number(name), m + 1, 0)).getUTCDate();
          const first = (new Date(Date.UTC(Number(name), m, 1)).getUTCDay() + 6) % 7;
          return <div class="month"><h4>{m + 1}</h4><div class="days">{Array.from({ length: first }, () => <i />)}{Array.from({ length: days }, (_, d) => {
            const at = new Date(Date.UTC(Number(name), m, d + 1)), on = works(year, at);
            count += Number(on);
            const odd = on !== doc.week.includes(at.getUTCDay() || 7);
            return <button class={`${on ? "works" : "rests"}${odd ? " odd" : ""}`} disabled={!p.mayWrite()} data-day={`${name}-${two(m + 1)}-${two(d + 1)}`} aria-pressed={on} title={t(on ? "pol.cal.works" : "pol.cal.rests")} onClick={() => turn(name, at)}>{d + 1}</button>;
          })}</div></div>;
        });
        return <section><h3>{name}<span class="muted small">{t("pol.cal.days", { n: num(count) })}{year.source && ` · ${year.source}`}</span></h3><div class="months">{months}</div></section>;
      })}
      {p.mayWrite() && <button class="btn" data-do="year" onClick={() => p.put(["years", next], { source: t("pol.cal.source"), rest: [...(doc.fixed ?? [])], work: [] })}>{t("pol.cal.add", { year: next })}</button>}
      <p class="muted small">{t("pol.cal.about", { year: next })}</p>
    </div>
  );
}
