/** The chosen state or action of the diagram: its deadline, who may act, its guard and what it asks for. */
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import type { Titled } from "../../common/types";
import { chosen } from "./diagram";
import { faultAt, label } from "./form";
import * as p from "./store";
import type { Json } from "./types";

type Obj = Record<string, Json>;

function Line({ path, name, value, code }: { path: (string | number)[]; name: string; value: Json | undefined; code?: boolean }) {
  const wrong = faultAt(path);
  const set = (said: string) => p.put(path, said === "" ? undefined : typeof value === "number" ? Number(said) : said);
  return (
    <label class="field"><span>{name}</span>{code ? <textarea class={`code${wrong ? " wrongfield" : ""}`} rows={2} value={String(value ?? "")} readOnly={!p.mayWrite()} onChange={(e) => set(e.currentTarget.value)} /> : <input class={wrong ? "wrongfield" : ""} name={path.join(".")} value={String(value ?? "")} readOnly={!p.mayWrite()} onChange={(e) => set(e.currentTarget.value)} />}
      {wrong && <span class="wrong small">{wrong}</span>}</label>
  );
}

export function Inspector() {
  const doc = p.draft.value as unknown as Obj, of = chosen.value;
  if (!of) return <p class="muted small hintline">{t("pol.diagram.hint")}</p>;
  if (of.state) {
    const state = (doc["states"] as Obj)[of.state] as Obj | undefined;
    if (!state) return null;
    const limit = (doc["deadlines"] as Obj | undefined)?.[of.state] as Obj | undefined;
    const leaves = (Object.entries(doc["actions"] as Obj) as [string, Obj][]).filter(([, a]) => (a["from"] as string[]).includes(of.state!));
    return (
      <section class="inspect"><h2>{tt(state["title"] as unknown as Titled)} <code class="muted">{of.state}</code></h2>
        <div class="cols">
          <Line path={["states", of.state, "title", "zh"]} name={label("title")} value={(state["title"] as Obj)["zh"]} />
          {!state["final"] && (["normal", "urgent", "clock", "urgent_clock"] as const).map((k) => <Line path={["deadlines", of.state!, k]} name={t(`pol.limit.${k}` as Key)} value={limit?.[k]} />)}
        </div>
        <p class="leaves">{leaves.map(([name, a]) => <button class="btn" onClick={() => (chosen.value = { action: name })}><Icon name="arrow-right" size={14} />{tt(a["title"] as unknown as Titled)}</button>)}</p>
      </section>
    );
  }
  const action = (doc["actions"] as Obj)[of.action!] as Obj | undefined;
  if (!action) return null;
  const needs = Object.entries((action["need"] as Obj | undefined) ?? {}) as [string, Obj][];
  const way = (names: string[]) => names.map((n) => tt(((doc["states"] as Obj)[n] as Obj | undefined)?.["title"] as unknown as Titled) || n).join(t("pol.or"));
  return (
    <section class="inspect"><h2>{tt(action["title"] as unknown as Titled)} <code class="muted">{of.action}</code></h2>
      <p>{way(action["from"] as string[])} → {action["to"] === "same" ? t("pol.stays") : way([String(action["to"])])}</p>
      <div class="cols">
        <Line path={["actions", of.action!, "title", "zh"]} name={label("title")} value={(action["title"] as Obj)["zh"]} />
        <Line path={["actions", of.action!, "act"]} name={label("act")} value={action["act"]} />
        {action["max"] !== undefined && <Line path={["actions", of.action!, "max"]} name={label("max")} value={action["max"]} />}
        <Line path={["actions", of.action!, "guard"]} name={label("guard")} value={action["guard"]} code />
        {action["auto"] !== undefined && <Line path={["actions", of.action!, "auto"]} name={label("auto")} value={action["auto"]} code />}
      </div>
      {needs.length > 0 && <table class="table needs"><thead><tr><th scope="col">{t("pol.need")}</th><th scope="col">{label("type")}</th><th scope="col">{t("pol.required")}</th><th scope="col">{t("pol.evidence")}</th></tr></thead>
        <tbody>{needs.map(([key, n]) => <tr><td>{tt(n["title"] as unknown as Titled)} <code class="muted">{key}</code></td><td>{String(n["type"])}</td>
          <td><input type="checkbox" aria-label={t("pol.required")} checked={n["required"] === true} disabled={!p.mayWrite()} onChange={(e) => p.put(["actions", of.action!, "need", key, "required"], e.currentTarget.checked)} /></td>
          <td class="muted">{["min", "max", "within_m", "taken_within", "new"].filter((k) => n[k] !== undefined).map((k) => `${label(k)} ${String(n[k])}`).join(" · ")}</td></tr>)}</tbody></table>}
    </section>
  );
}
