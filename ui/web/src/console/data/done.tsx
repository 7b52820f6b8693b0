/** What came of a load, and what can be done now. */
import { useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { num } from "../../common/format";
import { t, tt } from "../../common/i18n";
import { go, tell } from "../state";
import * as api from "./api";
import { Counters } from "./check";
import * as m from "./model";
import { told, worth } from "./reasons";

export function Done() {
  const result = m.result.value!;
  const [undone, setUndone] = useState(false);
  const kind = m.all.value?.kinds.find((k) => k.kind === result.kind);
  const undo = async () => {
    try {
      for (const load of result.loads) await api.undo(load);
      setUndone(true);
      tell(t("load.undone"));
    } catch (why) {
      tell((why as Error).message, true);
    }
  };
  return (
    <section class="done">
      <h2 aria-live="polite"><Icon name={undone ? "undo-2" : "check-check"} size={24} />{undone ? t("load.undone") : t("load.done", { n: num(result.inserted + result.updated), k: tt(kind?.title), s: result.seconds.toFixed(1) })}</h2>
      <Counters result={result} />
      <p class="links">
        {result.has_quarantine && m.job.value && <a class="btn" href={`/api/v1/loads/jobs/${m.job.value}/quarantine.gpkg`} download><Icon name="package" />{t("load.quarantine", { n: num(result.quarantined) })}</a>}
        {kind && kind.geometry !== "none" && <a class="btn" href="/wall"><Icon name="map" />{t("load.onwall")}</a>}
        {!undone && result.inserted + result.updated > 0 && <button class="btn" data-do="undo" onClick={() => void undo()}><Icon name="undo-2" />{t("load.undo")}</button>}
        <button class="btn main" onClick={() => go("data")}>{t("load.next")}</button>
      </p>
      <div>{worth(result.notes).map((n) => <p class="note"><Icon name="info" />{told(n)}</p>)}</div>
    </section>
  );
}
