/** What the draft would have changed over the last month: the number, the list, the same on the map. */
import { useEffect, useRef, useState } from "preact/hooks";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { lang, t } from "../../common/i18n";
import { theme } from "../../common/theme";
import { createMap, rgba, ScatterplotLayer, type TwinMap } from "../../mapkit";
import * as s from "../state";
import * as p from "./store";
import type { Moved } from "./types";

export function Trial() {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<TwinMap | null>(null);
  const [hot, setHot] = useState<string | null>(null);
  const of = p.trial.value!;
  useEffect(() => {
    const c = s.config.value;
    const twin = createMap({ container: host.current!, theme: theme.value, lang: lang.value, center: c.center, zoom: c.zoom - 1 });
    made.current = twin;
    twin.map.on("mousemove", (e) => { const hit = twin.pick(e.point.x, e.point.y, ["moved"])?.object as Moved | undefined; setHot(hit?.code ?? null); });
    return () => { twin.map.remove(); made.current = null; };
  }, []);
  useEffect(() => {
    const placed = of.moved.filter((m) => m.lon !== null && m.lat !== null);
    made.current?.setGroup("moved", [new ScatterplotLayer<Moved>({
      id: "moved", data: placed, pickable: true, getPosition: (m) => [m.lon!, m.lat!], radiusUnits: "pixels", getRadius: (m) => (m.code === hot ? 10 : 6), stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5,
      getLineColor: rgba(theme.value, "halo"), getFillColor: (m) => rgba(theme.value, m.code === hot ? "selected" : "mine", 230), updateTriggers: { getRadius: hot, getFillColor: [hot, theme.value] },
    })]);
  }, [of, hot, theme.value]);
  const pairs = new Map<string, number>();
  of.moved.forEach((m) => pairs.set(`${m.from} → ${m.to}`, (pairs.get(`${m.from} → ${m.to}`) ?? 0) + 1));
  return (
    <section class="trial" aria-label={t("pol.simulate")}>
      <header><p><b class="big">{num(of.changed)}</b>{t("pol.trial.of", { read: num(of.read) })}</p><button class="ghost" aria-label={t("event.close.card")} onClick={() => (p.trial.value = null)}><Icon name="x" /></button></header>
      <div class="twocol">
        <div ref={host} class="mapfull" role="application" aria-label={t("pol.trial.map")} />
        <div class="said-list">
          <ul class="pairs">{[...pairs].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([pair, n]) => <li><span class="cut">{pair}</span><b>{num(n)}</b></li>)}</ul>
          <ol class="moves">{of.moved.slice(0, 200).map((m) => <li class={hot === m.code ? "on" : ""} onMouseEnter={() => setHot(m.code)}><a href={`/console/${m.href ?? `events/${m.code}`}`} onClick={(e) => { e.preventDefault(); s.go(m.href ?? `events/${m.code}`); }}>{m.title}</a><span class="muted small">{m.from} → {m.to}</span></li>)}</ol>
          {!of.moved.length && <p class="muted">{t("pol.trial.none")}</p>}
        </div>
      </div>
    </section>
  );
}
