/** How a partner stands that gets events from us: what went there, what waits, why the last try failed. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../../common/api";
import { num, stamp } from "../../common/format";
import { t, type Key } from "../../common/i18n";

interface Partner { name: string; url: string; enabled: boolean; sent: number; waiting: number; open: number; closed: number; refused: number; behind: number; last_error: string | null; polled_at: string | null }
const COUNTS = ["sent", "waiting", "open", "closed", "refused", "behind"] as const;

export function PartnerState({ name }: { name: string }) {
  const [of, setOf] = useState<Partner | null | undefined>(undefined);
  useEffect(() => {
    const load = () => get<Partner[]>("/api/v1/partners").then((all) => setOf(all.find((p) => p.name === name) ?? null), () => setOf(undefined));
    void load();
    const timer = setInterval(() => { if (!document.hidden) void load(); }, 5000);
    return () => clearInterval(timer);
  }, [name]);
  if (of === undefined) return null;
  if (of === null) return <p class="muted" data-partner="none">{t("pol.partner.none", { name })}</p>;
  return (
    <section class="partnerstate" data-partner={of.name} aria-label={t("pol.partner")}>
      <p>{of.url}{!of.enabled && ` · ${t("pol.partner.off")}`}{of.polled_at && <span class="muted small"> {t("pol.partner.polled", { at: stamp(of.polled_at) })}</span>}</p>
      <dl>{COUNTS.map((k) => <div key={k}><dt class="muted small">{t(`pol.partner.${k}` as Key)}</dt><dd class={k === "refused" && of[k] ? "bad" : ""}>{num(of[k])}</dd></div>)}</dl>
      {of.last_error && <p class="wrong small" role="status">{of.last_error}</p>}
    </section>
  );
}
