/** The panel of devices: products as layers, what colours them, their legend, and the field of a value. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { DeviceLegend } from "../common/devicelegend";
import { hm, num, stamp } from "../common/format";
import { Icon } from "../common/icon";
import { t, tt, type Key } from "../common/i18n";
import { DEVICE_BY } from "../mapkit";
import * as d from "./devicestore";
import { Head } from "./rail";
import * as s from "./store";

const sought = signal("");

function Field({ of }: { of: d.Shown }) {
  const mode = d.field.value?.product === of.product ? d.field.value.mode : null;
  const set = (next: d.FieldMode | null) => (d.field.value = next ? { product: of.product, mode: next } : null);
  const choice = (key: d.FieldMode | null, label: Key) => <button role="radio" aria-checked={mode === key} class={mode === key ? "on" : ""} data-field={key ?? "none"} onClick={() => set(key)}>{t(label)}</button>;
  return (
    <>
      <div class="chips" role="radiogroup" aria-label={t("wdev.field")}>{choice(null, "wdev.field.none")}{choice("lines", "wdev.field.lines")}{choice("heat", "wdev.field.heat")}</div>
      {mode && d.surface.value && <p class="muted small">{t("wdev.field.of", { n: num(d.surface.value.values) })}</p>}
      {mode && d.surfaceWhy.value && <p class="muted small" role="status">{t("wdev.field.few")}</p>}
    </>
  );
}

function Layer({ of }: { of: d.DeviceProduct }) {
  const mine = d.chosen.value.find((c) => c.product === of.key);
  const answer = d.answers.value.get(of.key);
  const numbers = of.properties.filter((p) => p.type !== "text");
  const quiet = d.silent.value.get(of.key) ?? 0;
  return (
    <li class={mine ? "devlayer on" : "devlayer"} data-product={of.key}>
      <label><input type="checkbox" checked={!!mine} onChange={() => d.toggle(of)} /><Icon name={of.icon} size={16} /><span class="grow cut" title={tt(of.title)}>{tt(of.title)}</span>
        {quiet > 0 && <em class="small" title={t("dev.silent.n", { n: quiet })}>{num(quiet)}</em>}<span class="muted small">{num(answer && mine ? answer.points.length : of.devices)}</span></label>
      {mine && (
        <div class="devmore">
          {d.by.value === "value" && (
            <select aria-label={t("prod.property")} value={mine.property} onChange={(e) => d.look(of.key, e.currentTarget.value)}>{numbers.map((p) => <option key={p.name} value={p.name}>{tt(p.title)}{p.unit ? ` (${tt(p.unit)})` : ""}</option>)}</select>
          )}
          {answer && <DeviceLegend by={d.by.value} meta={answer.property} points={answer.points} />}
          {d.by.value === "value" && answer?.property && ["number", "integer"].includes(answer.property.type) && <Field of={mine} />}
        </div>
      )}
    </li>
  );
}

export function Devices() {
  useEffect(() => { d.loadProducts().catch((why: Error) => s.tell(why.message)); }, []);
  const wanted = sought.value.trim().toLowerCase();
  const list = d.products.value.filter((p) => !wanted || `${p.key} ${p.title.zh} ${p.title.en}`.toLowerCase().includes(wanted));
  const groups = [...new Set(list.map((p) => p.category))];
  const at = s.moment.value;
  return (
    <>
      <Head title={t("rail.devices")} />
      <div class="pad devby"><span class="muted small">{t("dev.map.by")}</span>
        <div class="modes" role="radiogroup" aria-label={t("dev.map.by")}>{DEVICE_BY.map((k) => <button key={k} role="radio" aria-checked={d.by.value === k} class={d.by.value === k ? "on" : ""} data-by={k} onClick={() => (d.by.value = k)}>{t(`wdev.by.${k}` as Key)}</button>)}</div>
        <p class="small muted" role="status">{at === null ? t("wdev.now", { at: hm(s.serverNow()) }) : t("wdev.then", { at: stamp(at) })}</p>
      </div>
      <label class="seek"><Icon name="search" size={14} /><input type="search" placeholder={t("wdev.search")} aria-label={t("wdev.search")} value={sought.value} onInput={(e) => (sought.value = e.currentTarget.value)} /></label>
      <div class="scroll devlist">
        {groups.map((g) => <section key={g}><h3 class="muted small">{t(`prod.category.${g}` as Key)}</h3><ul>{list.filter((p) => p.category === g).map((p) => <Layer key={p.key} of={p} />)}</ul></section>)}
        {!list.length && <p class="hint muted">{t("dev.empty")}</p>}
      </div>
    </>
  );
}
