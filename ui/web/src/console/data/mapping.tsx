/** Which column is which field: suggested, with the reason and how sure it is, and said otherwise by hand. */
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import * as api from "./api";
import { KindPicker } from "./kindpicker";
import * as m from "./model";
import { told, worth } from "./reasons";

const CRS: [string, Key][] = [["auto", "load.crs.auto"], ["EPSG:4326", "load.crs.wgs84"], ["EPSG:4490", "load.crs.cgcs"], ["gcj02", "load.crs.gcj02"], ["bd09", "load.crs.bd09"], ["sh2000", "load.crs.sh2000"], ["EPSG:4549", "load.crs.4549"], ["EPSG:3857", "load.crs.3857"]];
const ENCODINGS = ["auto", "utf-8", "gb18030", "big5", "utf-16"];
const WHY: Record<string, Key> = {
  name: "load.why.name", synonym: "load.why.synonym", similar: "load.why.similar", codes: "load.why.codes", dates: "load.why.dates",
  pattern: "load.why.pattern", remembered: "load.why.remembered", misfit: "load.why.misfit",
};

function Choice({ label, value, onChange, children }: { label: string; value: string; onChange: (v: string) => void; children: preact.ComponentChildren }) {
  return <label class="field"><span>{label}</span><select value={value} onChange={(e) => onChange(e.currentTarget.value)}>{children}</select></label>;
}

function Options() {
  const f = m.file.value!, a = m.asked.value, s = m.suggested.value;
  return (
    <section class="options" aria-label={t("load.options")}>
      <div class="field wide"><span>{t("load.kind")}</span><KindPicker value={a?.kind ?? ""} onChoose={(k) => void m.choose(k, a?.layer ?? null, a?.encoding ?? "auto")} label={t("load.kind")} /></div>
      {f.layers.length > 1 && <Choice label={t("load.layer")} value={a?.layer ?? f.layer ?? ""} onChange={(v) => void m.look(v || null, a?.encoding ?? "auto")}>{f.layer === null && <option value="">{t("load.layer.all")}</option>}{f.layers.map((l) => <option>{l}</option>)}</Choice>}
      {f.encoding && <Choice label={t("load.encoding")} value={a?.encoding ?? "auto"} onChange={(v) => void m.look(a?.layer ?? null, v)}>{ENCODINGS.map((e) => <option value={e}>{e === "auto" ? t("load.found", { v: f.encoding ?? "" }) : e}</option>)}</Choice>}
      {a && s && s.geometry !== "none" && <Choice label={t("load.crs")} value={a.crs} onChange={(crs) => m.say({ crs })}>{CRS.map(([v, k]) => <option value={v}>{v === "auto" && f.crs ? t("load.found", { v: f.crs }) : t(k)}</option>)}{!CRS.some(([v]) => v === a.crs) && <option value={a.crs}>{a.crs}</option>}</Choice>}
      {a && <Choice label={t("load.key")} value={a.key ?? ""} onChange={(v) => m.say({ key: v || null })}><option value="">{t("load.key.none")}</option>{f.columns.map((c) => <option>{c}</option>)}</Choice>}
      {a && <label class="field"><span>{t("load.source")}</span><input value={a.source} maxLength={200} onChange={(e) => m.say({ source: e.currentTarget.value.trim() || a.source })} /></label>}
    </section>
  );
}

function Sure({ guess, target }: { guess: api.Guess; target: string }) {
  const chosen = guess.others.find((o) => o.target === target);
  const by = guess.target === target && guess.why ? guess.why : chosen?.why;
  const score = guess.target === target ? guess.score : chosen?.score ?? 0;
  if (!target || target === "-") {
    const best = guess.others[0];
    if (!guess.ambiguous || !best) return <span class="muted small">{t("load.unused")}</span>;
    const field = m.suggested.value!.fields.find((f) => f.name === best.target);
    return <button class="hint small" onClick={() => m.setTarget(guess.name, best.target)}><Icon name="info" size={14} />{t("load.perhaps", { f: tt(field?.title) || best.target })}</button>;
  }
  if (!by) return <span class="small">{t("load.why.hand")}</span>;
  return (
    <span class={`sure small${guess.ambiguous ? " unsure" : ""}`}>
      <i aria-hidden="true"><b style={{ width: `${Math.round(score * 100)}%` }} /></i>{t(WHY[by] ?? "load.why.similar")}{guess.ambiguous && <em>{t("load.ambiguous")}</em>}
    </span>
  );
}

function Line({ guess }: { guess: api.Guess }) {
  const s = m.suggested.value!, a = m.asked.value!;
  const isX = a.x === guess.name, isY = a.y === guess.name, isWkt = s.wkt === guess.name, isKey = a.key === guess.name;
  const target = a.mapping[guess.name] ?? "";
  const place = isX ? "@x" : isY ? "@y" : isWkt ? "@wkt" : target && target !== "-" ? target : isKey ? "@key" : "";
  const change = (v: string) => {
    const part: Partial<api.Asked> = { x: isX ? null : a.x, y: isY ? null : a.y };
    if (v === "@x") part.x = guess.name;
    if (v === "@y") part.y = guess.name;
    if (v === "@key") part.key = guess.name;
    else if (place === "@key") part.key = null;
    m.say(part);
    if (!v.startsWith("@") || v === "@key") m.setTarget(guess.name, v === "@key" ? "" : v);
  };
  const taken = new Map(Object.entries(a.mapping).map(([c, f]) => [f, c]));
  return (
    <tr class={place ? "" : "off"} data-column={guess.name}>
      <th scope="row"><span class="cut">{guess.name}</span>{isKey && <span class="tag key"><Icon name="tag" size={12} />{t("load.key.tag")}</span>}</th>
      <td class="samples muted">{guess.samples.length ? <span class="cut">{guess.samples.join("　")}</span> : <span class="small">{t("load.empty")}</span>}</td>
      <td class="to" aria-hidden="true"><Icon name="arrow-right" /></td>
      <td>
        <select class={place ? "pick" : "pick none"} aria-label={t("load.target", { c: guess.name })} value={place} onChange={(e) => change(e.currentTarget.value)}>
          <option value="">{t("load.notused")}</option>
          {s.geometry === "point" && !s.shapes && <optgroup label={t("load.place")}><option value="@x">{t("load.x")}</option><option value="@y">{t("load.y")}</option></optgroup>}
          <option value="@key">{t("load.key.only")}</option>
          {isWkt && <option value="@wkt">{t("load.wkt")}</option>}
          <optgroup label={t("load.fields")}>
            {s.fields.map((f) => <option value={f.name}>{tt(f.title)}{f.unit ? ` (${f.unit})` : ""}{f.required ? " *" : ""}{taken.has(f.name) && taken.get(f.name) !== guess.name ? ` ← ${taken.get(f.name)}` : ""}</option>)}
          </optgroup>
        </select>
      </td>
      <td>{place.startsWith("@") ? <span class="sure small"><i aria-hidden="true"><b style={{ width: "100%" }} /></i>{t(place === "@key" ? "load.key.tag" : "load.place")}</span> : <Sure guess={guess} target={target} />}</td>
    </tr>
  );
}

function used(column: string): boolean {
  const a = m.asked.value!;
  return (a.mapping[column] ?? "-") !== "-" || [a.x, a.y, a.key, m.suggested.value!.wkt].includes(column);
}

export function Mapping() {
  const s = m.suggested.value, f = m.file.value!;
  const lacking = m.lacking.value;
  return (
    <>
      <Options />
      {!s && f.kinds.length === 0 && <p class="empty muted">{t("load.kind.first")}</p>}
      {s && (
        <>
          {s.remembered && <p class="note good"><Icon name="history" />{t("load.remembered", { s: s.source })}</p>}
          {worth(f.notes).map((n) => <p class="note"><Icon name="info" />{told(n)}</p>)}
          <div class="tablebox mapping" role="region" aria-label={t("load.mapping")} tabIndex={0}>
            <table class="table">
              <thead><tr><th scope="col">{t("load.col.column")}</th><th scope="col">{t("load.col.samples")}</th><th /><th scope="col">{t("load.col.field")}</th><th scope="col">{t("load.col.why")}</th></tr></thead>
              <tbody>{s.columns.map((c) => <Line guess={c} key={c.name} />)}</tbody>
            </table>
          </div>
        </>
      )}
      <footer class="bar">
        <div class="grow">
          {m.unplaced.value && <p class="warn"><Icon name="triangle-alert" />{t("load.unplaced")}</p>}
          {lacking.length > 0 && <p class="warn"><Icon name="triangle-alert" />{t("load.lacking", { f: lacking.map((l) => tt(l.title)).join("、") })}</p>}
          {s && !m.unplaced.value && !lacking.length && <p class="muted">{t("load.mapped", { n: s.columns.filter((c) => used(c.name)).length, all: s.columns.length })}</p>}
        </div>
        <button class="btn main" data-do="check" disabled={!s || m.busy.value || m.unplaced.value} onClick={() => void m.check()}>{m.busy.value && m.progress.value !== null ? t("load.checking") : t("load.check")}</button>
      </footer>
    </>
  );
}
