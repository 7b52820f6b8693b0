/** Who is on duty, a week at a time: one row a post, one bar a shift, the line of now. */
import { useEffect, useState } from "preact/hooks";
import { get, send } from "../../common/api";
import type { Shift } from "../../common/contacts";
import { day, hm, ZONE } from "../../common/format";
import { Icon } from "../../common/icon";
import { t } from "../../common/i18n";
import * as s from "../state";

const DAY = 86_400_000;
const failed = (e: Error) => s.tell(e.message, true);
/** The midnight of the city before a moment. */
const midnight = (at: number) => Date.parse(`${new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE }).format(at)}T00:00:00+08:00`);

export function Roster({ may }: { may: boolean }) {
  const [start, setStart] = useState(midnight(Date.now()));
  const [shifts, setShifts] = useState<Shift[] | null>(null);
  const read = () => get<{ shifts: Shift[] }>(`/api/v1/roster?from=${encodeURIComponent(new Date(start).toISOString())}&to=${encodeURIComponent(new Date(start + 7 * DAY).toISOString())}`).then((r) => setShifts(r.shifts), failed);
  useEffect(() => { void read(); }, [start]);
  const posts = [...new Set((shifts ?? []).map((x) => x.post))];
  const at = (moment: string | number) => Math.min(100, Math.max(0, ((typeof moment === "number" ? moment : Date.parse(moment)) - start) / (7 * DAY) * 100));
  const now = at(Date.now());
  const drop = (x: Shift) => send("DELETE", `/api/v1/roster/${x.id}`).then(read, failed);
  return (
    <section class="weekof" aria-label={t("con.roster")}>
      <p class="asks"><button class="btn" aria-label={t("ind.before")} onClick={() => setStart(start - 7 * DAY)}><Icon name="chevron-left" /></button><b>{day(start)} – {day(start + 6 * DAY)}</b><button class="btn" aria-label={t("ind.after")} onClick={() => setStart(start + 7 * DAY)}><Icon name="chevron-right" /></button></p>
      {shifts && !shifts.length && <p class="empty muted">{t("con.roster.none")}</p>}
      {posts.length > 0 && <div class="week" role="table">
        <div class="days" role="row"><span role="columnheader" />{[0, 1, 2, 3, 4, 5, 6].map((n) => <span role="columnheader" key={n}>{day(start + n * DAY)}</span>)}</div>
        {posts.map((post) => (
          <div class="line" role="row" key={post}><b role="rowheader">{post}</b>
            <div class="bars" role="cell">{shifts!.filter((x) => x.post === post).map((x) => (
              <span key={x.id} class={x.now ? "bar now" : "bar"} style={{ left: `${at(x.starts_at)}%`, width: `${at(x.ends_at) - at(x.starts_at)}%` }} title={`${x.name} · ${x.unit} · ${hm(x.starts_at)}–${hm(x.ends_at)}`}>
                <span class="cut">{x.name}</span>{may && <button aria-label={`${t("con.shift.drop")} ${x.name} ${hm(x.starts_at)}`} onClick={() => void drop(x)}><Icon name="x" size={12} /></button>}
              </span>
            ))}{now > 0 && now < 100 && <i class="line-now" style={{ left: `${now}%` }} />}</div>
          </div>
        ))}
      </div>}
    </section>
  );
}
