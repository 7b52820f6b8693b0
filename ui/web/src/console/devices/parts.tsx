/** What several pages of devices show: how one stands, what it said, when. */
import { num, span, stamp } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import type { Reading, State } from "./types";

/** How a device stands: shape and word beside the colour. */
export function Stands({ state, heard }: { state: State; heard: string | null }) {
  const ago = heard ? span((Date.now() - Date.parse(heard)) / 1000) : "";
  return (
    <span class={`stands ${state}`} title={heard ? stamp(heard) : undefined}>
      <i aria-hidden="true" />{t(`dev.state.${state}` as Key)}{heard && state !== "revoked" && <span class="muted small">{t("dev.ago", { ago })}</span>}
    </span>
  );
}

/** One value as a person reads it. */
export function said(r: Reading): string {
  if (r.value === null) return "—";
  if (r.type === "boolean") return t(r.value ? "dev.yes" : "dev.no");
  if (r.text) return tt(r.text);
  return typeof r.value === "number" ? num(r.value, r.value !== 0 && Math.abs(r.value) < 1 ? 2 : 1) : String(r.value);
}

export function Value({ of }: { of: Reading | null }) {
  if (!of) return <span class="muted">—</span>;
  return <span class="value">{said(of)}{of.unit && <span class="unit">{tt(of.unit)}</span>}</span>;
}

export function Battery({ pct }: { pct: number | null }) {
  if (pct === null) return <span class="muted">—</span>;
  return (
    <span class={`battery${pct <= 20 ? " low" : ""}`} title={`${num(pct, 0)} %`}>
      <svg width="22" height="12" viewBox="0 0 22 12" aria-hidden="true"><rect x=".5" y=".5" width="18" height="11" rx="2" fill="none" stroke="currentColor" /><rect x="20" y="4" width="2" height="4" fill="currentColor" /><rect x="2" y="2" width={Math.max(1, (15 * pct) / 100)} height="8" rx="1" fill="currentColor" /></svg>
      {num(pct, 0)}<span class="unit">%</span>
    </span>
  );
}

/** The books of an hour or a day: does it close? */
export function Closes({ accepted, stored, rejected, duplicate }: { accepted: number; stored: number; rejected: number; duplicate: number }) {
  const ok = accepted === stored + rejected + duplicate;
  return <span class={ok ? "closes" : "closes bad"}><Icon name={ok ? "circle-check" : "triangle-alert"} size={14} />{t(ok ? "dev.ledger.closes" : "dev.ledger.open")}</span>;
}
