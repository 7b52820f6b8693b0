/** Screen a, government efficiency: how fast and how reliably what is reported is dealt with; by district, day and stage. */
import { useEffect } from "preact/hooks";
import { num, span } from "../common/format";
import { t, type Key } from "../common/i18n";
import { day } from "../common/format";
import { Indicators, rateLevel, share, Tiles, type Board } from "../common/board";
import { Days } from "../common/charts";
import * as s from "./store";
import { board, goDistrict, HOOKS, indicators, layouts, loadBoard, TopicTabs } from "./topic";
import { placed } from "../common/places";

function Ranking({ b }: { b: Board }) {
  const rows = b.districts.filter((d) => d.code).sort((x, y) => (share(y) ?? -1) - (share(x) ?? -1) || y.closed - x.closed);
  return (
    <table class="ranking">
      <thead><tr><th scope="col">#</th><th scope="col">{t("board.district")}</th><th scope="col">{t("board.open")}</th><th scope="col">{t("board.late")}</th><th scope="col">{t("board.done")}</th><th scope="col">{t("board.rate")}</th><th scope="col">{t("board.median")}</th></tr></thead>
      <tbody>{rows.map((d, i) => {
        const rate = share(d);
        return (
          <tr><td class="muted">{i + 1}</td><th scope="row"><button class="link" onClick={() => goDistrict(d.code)}>{placed(d.name) ?? d.code}</button></th><td>{num(d.open)}</td><td class={d.late ? "bad" : "muted"}>{num(d.late)}</td><td>{num(d.closed)}</td>
            <td><span class="meter"><i class={rateLevel(rate)} style={{ width: `${rate ?? 0}%` }} /></span><b>{rate === null ? "—" : `${num(rate)}%`}</b></td><td>{d.median_s === null ? "—" : span(d.median_s)}</td></tr>
        );
      })}</tbody>
    </table>
  );
}

function Funnel({ b }: { b: Board }) {
  const top = Math.max(1, ...b.stages.map((one) => one.n));
  return <ol class="funnel wide">{b.stages.map((one) => <li><span class="small muted">{t(`stage.${one.stage}` as Key)}</span><b>{num(one.n)}</b><span class="track"><i style={{ width: `${(one.n / top) * 100}%` }} /></span></li>)}</ol>;
}

export function Efficiency() {
  useEffect(() => { loadBoard().catch((why: Error) => s.tell(why.message)); }, [s.topic.value, s.settled.value, layouts.value, Math.floor(s.clock.value / 30_000)]);
  const b = board.value;
  return (
    <section class="efficiency panel" aria-label={t("screen.a")}>
      <TopicTabs />
      {b && (
        <div class="scroll">
          <Tiles f={b.figures} open={HOOKS.open} />
          <div class="halves">
            <div><h3>{t("board.stages")}</h3><Funnel b={b} /></div>
            <div><h3>{t("board.days")}<span class="key small muted"><i class="opened" />{t("time.opened")}<i class="closed" />{t("time.closed")}</span></h3><Days days={b.days} label={(d) => day(d)} height={150} /></div>
          </div>
          <h3>{t("board.ranking")}<span class="muted small">{t("board.days30")}</span></h3>
          <Ranking b={b} />
          {indicators.value && <Indicators board={indicators.value} pick={HOOKS.indicator} />}
          <h3>{t("board.missing")}</h3>
          <p class="muted small">{t("board.missing.what")}</p>
        </div>
      )}
    </section>
  );
}
