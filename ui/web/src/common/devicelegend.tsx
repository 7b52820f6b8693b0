/** What the colours of devices mean: the scale with its unit and declared limits, how devices stand, battery, alarms. */
import { DEVICE_STATES, LOW_BATTERY, RAMP_CSS, severity, STATE_INK, type DeviceBy, type DeviceMeta, type DevicePoint } from "../mapkit";
import "./devicelegend.css";
import { num } from "./format";
import { Mark } from "./icon";
import { t, tt } from "./i18n";

/** What a device reads, with its unit, as it is looked at. */
export function reads(p: DevicePoint, by: DeviceBy, meta: DeviceMeta | null): string {
  if (by === "battery") return p.battery_pct === null ? "—" : `${num(p.battery_pct, 0)} %`;
  if (p.value === null || !meta) return "—";
  return said(p.value, meta);
}

export function said(value: number, meta: DeviceMeta): string {
  if (meta.type === "boolean") return t(value ? "dev.yes" : "dev.no");
  if (meta.type === "enum") return tt(meta.codes[value]);
  return `${num(value, Math.abs(value) < 10 ? 2 : 1)} ${tt(meta.unit)}`.trim();
}

const SIGN = { above: ">", below: "<", is: "=" };

function Limits({ meta, points }: { meta: DeviceMeta; points: DevicePoint[] }) {
  const past = (level: number | null) => points.filter((p) => p.level === level && (level !== null || p.value !== null)).length;
  return (
    <ul class="devlegend">
      {meta.limits.map((l) => <li key={`${l.rule} ${l.limit}`}><Mark level={l.level} size={13} /><span class="cut grow" title={tt(l.title)}>{tt(l.title)}</span><span class="muted nowrap">{meta.type === "boolean" ? t(l.limit ? "dev.yes" : "dev.no") : `${SIGN[l.word]} ${said(l.limit, meta)}`}</span></li>)}
      <li><i class="dot good" /><span class="grow">{t("wdev.inorder")}</span><b>{num(past(null))}</b></li>
      {[1, 2, 3, 4].filter((n) => past(n)).map((n) => <li key={n} class="sub"><Mark level={n} size={13} /><span class="grow">{t("wdev.past", { level: tt(severity(n).title) })}</span><b>{num(past(n))}</b></li>)}
    </ul>
  );
}

function Scale({ meta }: { meta: DeviceMeta }) {
  return (
    <>
      <span class="rampbar" style={{ background: `linear-gradient(90deg, ${RAMP_CSS})` }} aria-hidden="true" />
      <span class="ends2 small muted"><span>{num(meta.from, 2)}</span><span>{num((meta.from + meta.to) / 2, 2)}</span><span>{num(meta.to, 2)}{meta.unit && <span class="unit">{tt(meta.unit)}</span>}</span></span>
    </>
  );
}

export function DeviceLegend({ by, meta, points }: { by: DeviceBy; meta: DeviceMeta | null; points: DevicePoint[] }) {
  const many = (is: (p: DevicePoint) => boolean) => num(points.filter(is).length);
  if (by === "state")
    return <ul class="devlegend">{DEVICE_STATES.map((k) => <li key={k}><i class={`swatch ${k}`} style={{ "--ink": `var(--${STATE_INK[k]})` }} /><span class="grow">{t(`dev.state.${k}`)}</span><b>{many((p) => p.state === k)}</b></li>)}</ul>;
  if (by === "alarm")
    return <ul class="devlegend">{[1, 2, 3, 4].map((n) => <li key={n}><Mark level={n} size={13} /><span class="grow">{tt(severity(n).title)}</span><b>{many((p) => p.alarm === n)}</b></li>)}<li><i class="dot stale" /><span class="grow">{t("wdev.calm")}</span><b>{many((p) => p.alarm === null)}</b></li></ul>;
  if (by === "battery")
    return (
      <ul class="devlegend">
        <li><Mark level={2} size={13} /><span class="grow">{t("wdev.battery.below", { n: LOW_BATTERY / 2 })}</span><b>{many((p) => p.battery_pct !== null && p.battery_pct < LOW_BATTERY / 2)}</b></li>
        <li><Mark level={3} size={13} /><span class="grow">{t("wdev.battery.below", { n: LOW_BATTERY })}</span><b>{many((p) => p.battery_pct !== null && p.battery_pct >= LOW_BATTERY / 2 && p.battery_pct < LOW_BATTERY)}</b></li>
        <li><i class="dot good" /><span class="grow">{t("wdev.battery.ok")}</span><b>{many((p) => p.battery_pct !== null && p.battery_pct >= LOW_BATTERY)}</b></li>
        <li><i class="dot stale" /><span class="grow">{t("wdev.battery.none")}</span><b>{many((p) => p.battery_pct === null)}</b></li>
      </ul>
    );
  if (!meta) return null;
  return (
    <div class="devscale" aria-label={tt(meta.title)}>
      {meta.limits.length ? <Limits meta={meta} points={points} /> : <Scale meta={meta} />}
    </div>
  );
}

