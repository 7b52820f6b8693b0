/** Calls that wait for the reader: an alarm that nobody acknowledged rings here until they answer. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "./api";
import "./called.css";
import { span } from "./format";
import { Icon, Mark } from "./icon";
import { t, tt } from "./i18n";
import type { Titled } from "./types";

export interface Call { code: string; title: string; rule_title: Titled | null; severity: number; opened_at: string; district_name: string | null; street_name: string | null }

/** What came of the last answer, where the screen has no line of its own for it. */
const failed = signal("");
export const calls = signal<Call[]>([]);
const EVERY_MS = 15_000;

/** Ask which calls wait; while there is no network what was known stays. */
export async function loadCalls(): Promise<void> {
  calls.value = (await get<{ alarms: Call[] }>("/api/v1/alarms/called")).alarms;
}

export function Called({ open, tell }: { open?: (code: string) => void; tell: (text: string) => void }) {
  useEffect(() => {
    const look = () => { if (!document.hidden) loadCalls().catch(() => undefined); };
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const first = calls.value[0];
  if (!first) return null;
  const take = async () => {
    try {
      await post(`/api/v1/alarms/${encodeURIComponent(first.code)}/answer`, {});
      failed.value = "";
      tell(t("called.taken", { code: first.code }));
    } catch (why) { failed.value = (why as Error).message; }
    await loadCalls().catch(() => undefined);
  };
  const where = [first.district_name, first.street_name].filter(Boolean).join(" ");
  return (
    <section class="called" role="alert" aria-label={t("called.title")}>
      <Mark level={first.severity} filled size={20} />
      <div class="grow"><b class="cut">{tt(first.rule_title) || first.title}</b><span class="small">{failed.value ? `${failed.value} ` : ""}{t("called.you", { s: span((Date.now() - Date.parse(first.opened_at)) / 1000) })}{where && ` · ${where}`}{calls.value.length > 1 && ` · ${t("called.more", { n: calls.value.length - 1 })}`}</span></div>
      {open && <button class="btn" data-call="open" onClick={() => open(first.code)}>{t("called.look")}</button>}
      <button class="btn main" data-call="answer" onClick={() => void take()}><Icon name="check" />{t("called.answer")}</button>
    </section>
  );
}
