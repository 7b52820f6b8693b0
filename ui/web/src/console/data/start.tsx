/** The beginning: a file is dropped or chosen, or a template is taken. */
import { useRef, useState } from "preact/hooks";
import { Icon } from "../../common/icon";
import { lang, t } from "../../common/i18n";
import { KindPicker } from "./kindpicker";
import * as m from "./model";
import { Progress } from "./page";

export function Start() {
  const [over, setOver] = useState(false);
  const [kind, setKind] = useState("toilet");
  const input = useRef<HTMLInputElement>(null);
  const drop = (e: DragEvent) => {
    e.preventDefault();
    setOver(false);
    const one = e.dataTransfer?.files[0];
    if (one) void m.take(one);
  };
  const share = m.sending.value;
  return (
    <div class="start">
      <section class={over ? "drop over" : "drop"} aria-label={t("load.drop")}
        onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <Icon name="cloud-upload" size={40} />
        <p class="big">{share === null ? t("load.drop") : t("load.sending", { n: Math.round(share * 100) })}</p>
        {share === null
          ? <button class="btn main" onClick={() => input.current?.click()}>{t("load.choose")}</button>
          : <Progress share={share} />}
        <p class="muted small">{t("load.formats")}</p>
        <input ref={input} class="sr" type="file" tabIndex={-1} aria-label={t("load.choose")} onChange={(e) => { const one = e.currentTarget.files?.[0]; e.currentTarget.value = ""; if (one) void m.take(one); }} />
      </section>
      <section class="take">
        <h2>{t("load.template")}</h2>
        <p class="muted">{t("load.template.about")}</p>
        <KindPicker value={kind} onChoose={setKind} label={t("load.kind")} />
        <p class="links">
          <a class="btn" href={`/api/v1/templates/${kind}.xlsx?lang=${lang.value === "en" ? "en" : "zh"}`} download><Icon name="file-text" />{t("load.template.xlsx")}</a>
          <a class="btn" href={`/api/v1/templates/${kind}.csv?lang=${lang.value === "en" ? "en" : "zh"}`} download>{t("load.template.csv")}</a>
        </p>
      </section>
    </div>
  );
}
