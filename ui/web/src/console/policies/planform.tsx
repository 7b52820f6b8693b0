/** A risk plan as a form: what suggests it, what it needs at each level, who is told, what is done when. */
import { useEffect } from "preact/hooks";
import { both, t, tt, type Key } from "../../common/i18n";
import { Add, Amount, at, Both, choices, Code, Field, loadChoices, Pick, RowActs, Tags, Text, Toggles, type Obj, type Option } from "./fields";
import { faultAt } from "./form";

const ROMAN = ["", "Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ"];
const COLOR = ["", "critical", "major", "minor", "info"];
const LEVELS: Option[] = [1, 2, 3, 4].map((n) => ({ key: String(n), title: both("pol.plan.roman", { n: ROMAN[n]! }) }));
const named = (group: string, keys: string[]): Option[] => keys.map((key) => ({ key, title: both(`pol.${group}.${key}` as Key) }));
const month = (said: string, i: number): string => new Intl.DateTimeFormat(said, { month: "short" }).format(new Date(2026, i, 1));
const MONTHS: Option[] = Array.from({ length: 12 }, (_, i) => ({ key: String(i + 1), title: { zh: month("zh-CN", i), en: month("en", i) } }));

const Mark = ({ n }: { n: number }) => <span class="levelmark" style={{ background: `var(--${COLOR[n] ?? "stale"})` }} aria-hidden="true">{ROMAN[n] ?? "?"}</span>;
const list = (key: string): Obj[] => (at([key]) as Obj[] | undefined) ?? [];

function Triggers() {
  const c = choices.value!;
  const levels = list("levels"), hints = Object.entries((at(["hints"]) as Obj | undefined) ?? {}) as [string, Obj][];
  return (
    <section class="pform" aria-labelledby="pf-trigger"><h3 id="pf-trigger">{t("pol.plan.trigger")}</h3>
      <div class="pgrid">
        <Field label={t("pol.plan.category")}><Pick path={["category"]} label={t("pol.plan.category")} options={named("hazard", ["typhoon", "rain", "forest_fire", "snow", "crowd"])} /></Field>
        <Field label={t("pol.plan.scene")}><Pick path={["scene"]} label={t("pol.plan.scene")} options={c.scenes} none={t("pol.none")} /></Field>
        <Field label={t("pol.plan.quiet")} path={["quiet"]}><Text path={["quiet"]} label={t("pol.plan.quiet")} placeholder="2h" /></Field>
        <Field label={t("pol.plan.warnings")} wide path={["warnings"]}><Tags path={["warnings"]} label={t("pol.plan.warnings")} options={[]} free /></Field>
        <Field label={t("pol.plan.season")} wide><Toggles path={["season"]} label={t("pol.plan.season")} options={MONTHS} number /></Field>
        <Field label={t("pol.plan.zones")} wide path={["zones"]}><Tags path={["zones"]} label={t("pol.plan.zones")} options={c.kinds} /></Field>
      </div>
      <h4>{t("pol.plan.levels")}</h4>
      <ul class="prow-list">{levels.map((row, i) => (
        <li class="prow"><Mark n={Number(row["level"])} /><Pick path={["levels", i, "level"]} label={t("plan.level")} options={LEVELS} number /><Code path={["levels", i, "when"]} label={t("pol.f.when")} rows={1} /><RowActs path={["levels"]} i={i} of={levels} />{faultAt(["levels", i]) && <p class="wrong small">{faultAt(["levels", i])}</p>}</li>
      ))}</ul>
      {levels.length < 4 && <Add what={t("pol.plan.level.add")} path={["levels"]} of={levels} make={{ level: Math.min(4, levels.length + 1), when: `w.level == ${Math.min(4, levels.length + 1)}` }} />}
      {hints.length > 0 && <><h4>{t("pol.plan.hints")}</h4>
        <ul class="prow-list">{hints.map(([name, row]) => (
          <li class="prow hint"><Both path={["hints", name, "title"]} label={t("pol.f.title")} /><Pick path={["hints", name, "product"]} label={t("pol.plan.product")} options={c.products} />
            <Pick path={["hints", name, "property"]} label={t("pol.plan.property")} options={c.products.find((x) => x.key === row["product"])?.properties ?? []} /><Pick path={["hints", name, "of"]} label={t("pol.plan.of")} options={named("of", ["max", "mean", "min"])} /><Text path={["hints", name, "within"]} label={t("pol.plan.span")} placeholder="1h" /></li>
        ))}</ul></>}
    </section>
  );
}

function RunCard() {
  const c = choices.value!, rows = list("requirements");
  return (
    <section class="pform" aria-labelledby="pf-card"><h3 id="pf-card">{t("plan.card")}</h3>
      <p class="muted small">{t("pol.plan.card.about")}</p>
      <div class="tablebox"><table class="table edit pcard">
        <thead><tr><th scope="col">{t("pol.plan.from")}</th><th scope="col">{t("pol.f.title")}</th><th scope="col">{t("pol.plan.kind")}</th><th scope="col">{t("pol.plan.skill")}</th><th scope="col">{t("pol.plan.count")}</th><th scope="col">{t("pol.plan.within")}</th><th><span class="sr">{t("pol.row")}</span></th></tr></thead>
        <tbody>{rows.map((row, i) => (
          <tr class={faultAt(["requirements", i]) ? "bad" : ""} data-line={i}>
            <td class="lvl"><Mark n={Number(row["level"])} /><Pick path={["requirements", i, "level"]} label={`${t("plan.level")} ${i + 1}`} options={LEVELS} number /></td>
            <td><Both path={["requirements", i, "title"]} label={`${t("pol.f.title")} ${i + 1}`} /></td>
            <td><Pick path={["requirements", i, "kind"]} label={`${t("pol.plan.kind")} ${i + 1}`} options={c.kinds} /></td>
            <td><Text path={["requirements", i, "skill"]} label={`${t("pol.plan.skill")} ${i + 1}`} /></td>
            <td><Amount path={["requirements", i, "count"]} label={`${t("pol.plan.count")} ${i + 1}`} min={1} max={500} /></td>
            <td><Text path={["requirements", i, "within"]} label={`${t("pol.plan.within")} ${i + 1}`} placeholder="45m" /></td>
            <td><RowActs path={["requirements"]} i={i} of={rows} /></td>
          </tr>
        ))}</tbody></table></div>
      <Add what={t("pol.plan.line.add")} path={["requirements"]} of={rows} make={{ level: 3, title: both("pol.plan.crews"), kind: "crew", count: 2, within: "45m" }} />
    </section>
  );
}

function Steps() {
  const c = choices.value!, steps = list("steps");
  return (
    <section class="pform" aria-labelledby="pf-steps"><h3 id="pf-steps">{t("pol.plan.steps")}</h3>
      <ol class="psteps">{steps.map((row, i) => (
        <li class={faultAt(["steps", i]) ? "bad" : ""} data-step={String(row["key"])}>
          <span class="when"><Text path={["steps", i, "after"]} label={t("pol.plan.after")} placeholder="10m" /></span>
          <div class="what">
            <div class="prow step"><Pick path={["steps", i, "do"]} label={t("pol.plan.do")} options={named("do", ["notify", "acknowledge", "stage", "patrol", "check"])} /><Both path={["steps", i, "title"]} label={t("pol.f.title")} /><Pick path={["steps", i, "level"]} label={t("pol.plan.from")} options={LEVELS} none={t("pol.plan.always")} number /><RowActs path={["steps"]} i={i} of={steps} /></div>
            {row["do"] === "notify" && <div class="pgrid"><Field label={t("pol.plan.roles")}><Tags path={["steps", i, "roles"]} label={t("pol.plan.roles")} options={c.roles} /></Field><Field label={t("pol.plan.groups")}><Tags path={["steps", i, "groups"]} label={t("pol.plan.groups")} options={c.groups} /></Field></div>}
            {row["do"] === "acknowledge" && <div class="pgrid"><Field label={t("pol.plan.next")}><Tags path={["steps", i, "next"]} label={t("pol.plan.next")} options={c.roles} /></Field><Field label={t("pol.plan.next.groups")}><Tags path={["steps", i, "next_groups"]} label={t("pol.plan.next.groups")} options={c.groups} /></Field></div>}
            {faultAt(["steps", i]) && <p class="wrong small">{faultAt(["steps", i])}</p>}
          </div>
        </li>
      ))}</ol>
      <Add what={t("pol.plan.step.add")} path={["steps"]} of={steps} make={{ key: `step_${steps.length + 1}`, after: "30m", do: "check", title: both("pol.plan.check") }} />
    </section>
  );
}

export function PlanForm() {
  useEffect(loadChoices, []);
  if (!choices.value) return <p class="muted">{t("panel.wait")}</p>;
  return <><p class="muted small">{t("pol.plan.about", { title: tt(at(["title"]) as never) })}</p><Triggers /><RunCard /><Steps /></>;
}
