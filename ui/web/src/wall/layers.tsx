/** The layer tree with its legend, folded by default. */
import { Icon, Mark } from "../common/icon";
import { severity } from "../mapkit";
import { t, tt } from "../common/i18n";
import type { LayerNode, Legend } from "../common/types";
import * as s from "./store";

function Swatch({ mark }: { mark: Legend }) {
  const ink = mark.token ? `var(--${mark.token.replaceAll("_", "-")})` : mark.color;
  if (mark.shape.startsWith("icon:")) return <span class="swatch" style={{ color: ink }}><Icon name={mark.shape.slice(5)} size={14} /></span>;
  if (mark.shape.startsWith("severity:")) return <span class="swatch"><Mark level={Number(mark.shape.slice(9))} /></span>;
  return <span class={`swatch ${mark.shape}`}><i style={{ background: ink, color: ink, borderColor: ink }} /></span>;
}

function Row({ layer }: { layer: LayerNode }) {
  const off = s.hidden.value.has(layer.id);
  const flip = () => {
    const next = new Set(s.hidden.value);
    if (off) next.delete(layer.id);
    else next.add(layer.id);
    s.hidden.value = next;
  };
  return (
    <li class={off ? "layer off" : "layer"}>
      <label>
        <input type="checkbox" checked={!off} onChange={flip} />
        {layer.legend.length === 1 && <Swatch mark={layer.legend[0]!} />}
        <span class="grow cut">{tt(layer.title)}</span>
        <span class="muted small">{layer.type === "live" ? t("layers.live") : layer.min_zoom > 9 ? t("layers.from", { z: layer.min_zoom }) : ""}</span>
      </label>
      {layer.legend.length > 1 && !off && (
        <ul class="legend">{layer.legend.map((mark) => <li><Swatch mark={mark} /><span>{tt(mark.label)}</span></li>)}</ul>
      )}
    </li>
  );
}

export function Layers() {
  if (!s.layersOpen.value)
    return (
      <button class="fold panel" aria-expanded="false" onClick={() => (s.layersOpen.value = true)}><Icon name="layers" size={18} /><span>{t("layers.title")}</span></button>
    );
  return (
    <nav class="layers panel" aria-label={t("layers.title")}>
      <h2>{t("layers.title")}<button class="plain" aria-label={t("layers.close")} aria-expanded="true" onClick={() => (s.layersOpen.value = false)}><Icon name="x" /></button></h2>
      <div class="scroll">
        {s.tree.value.groups.map((group) => (
          <section key={group.id}>
            <h3 class="muted small">{tt(group.title)}</h3>
            <ul>{group.layers.map((layer) => <Row key={layer.id} layer={layer} />)}</ul>
          </section>
        ))}
      </div>
    </nav>
  );
}

/** The four marks of severity in a line, as every list explains itself. */
export function SeverityKey() {
  return <span class="sevkey">{[1, 2, 3, 4].map((n) => <span><Mark level={n} size={12} />{tt(severity(n).title)}</span>)}</span>;
}
