/** A linkage in words: what it waits for, on what condition, what it does. */
import { t, tt, type Key } from "../../common/i18n";
import type { Product } from "../devices/types";
import { formOf, nameOf, type Action, type Did, type LinkDoc, type Run } from "./linktypes";
import { groups, products, ruleTitles } from "./linkstore";

const SIGN: Record<string, string> = { above: ">", below: "<", is: "=" };

const productOf = (key: string): Product | undefined => products.value.find((p) => p.key === key);

export function waits(doc: LinkDoc): string {
  const form = formOf(doc);
  if (form === "value") {
    const v = doc.trigger.value!;
    const product = productOf(v.product), prop = product?.properties.find((p) => p.name === v.property);
    const word = ["above", "below", "is"].find((w) => w in v)!;
    return `${tt(product?.title) || v.product} · ${tt(prop?.title) || v.property} ${SIGN[word]} ${String((v as unknown as Record<string, unknown>)[word])} ${tt(prop?.unit)}`.trim();
  }
  if (form === "alarm") {
    const a = doc.trigger.alarm!;
    return t("lnk.waits.alarm", { rule: a.rule === "*" ? t("lnk.any") : tt(ruleTitles.value.get(a.rule)) || a.rule });
  }
  if (form === "at") {
    const at = doc.trigger.at!;
    const days = at.days && at.days.length < 7 ? at.days.map((d) => t(`fence.day.${d}` as Key)).join(" ") : t("lnk.daily");
    return `${at.time} · ${days}`;
  }
  return t("lnk.form.manual");
}

export function does(one: Action): string {
  const name = nameOf(one);
  if (name === "command") {
    const c = one.command!;
    const product = productOf(c.product), command = product?.commands.find((x) => x.name === c.name);
    const [word, said] = Object.entries(c.to)[0] ?? ["all", true];
    return t("lnk.does.command", { name: tt(command?.title) || c.name, to: t(`lnk.to.${word}` as Key, { n: Array.isArray(said) ? said.length : String(said) }), product: tt(product?.title) || c.product });
  }
  if (name === "notice") return t("lnk.does.notice", { who: [...(one.notice!.groups ?? []).map((key) => tt(groups.value.find((g) => g.key === key)?.title) || key), ...(one.notice!.roles ?? [])].join(", ") });
  if (name === "alarm") return t("lnk.does.alarm", { n: one.alarm!.level });
  return t("lnk.does.case", { category: one.case!.category });
}

export function came(one: Did): string {
  if (one.action === "command") return t("lnk.came.command", { name: one.name ?? "", n: one.devices ?? 0 });
  if (one.action === "notice") return t("lnk.came.notice", { n: one.people ?? 0 });
  return one.action === "case" ? (one.event ?? "") : `${one.alarm ?? ""} · ${one.level ?? ""}`;
}

export const cause = (run: Run): string => {
  const c = run.cause;
  const who = c.thing_name || c.thing || "";
  return [t(`lnk.form.${c.form}` as Key), who, c.value === null ? "" : String(Math.round(c.value * 100) / 100)].filter(Boolean).join(" · ");
};
