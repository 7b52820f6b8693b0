/** A place of the tree: what it stands for, what its people see, and how that is changed. */
import { useState } from "preact/hooks";
import { post, send } from "../../common/api";
import { Icon } from "../../common/icon";
import { t, tt, type Key as Text } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import { strong } from "../parts/strong";
import * as s from "../state";
import { chosen, parents, place, places, read } from "./store";
import type { Place, PlaceType } from "./types";

const AREAS = ["grid", "village", "contractor"];

/** What the people of a place see, in words. */
export function sees(p: Place | undefined): string {
  if (!p) return t("acc.sees.city");
  if (AREAS.includes(p.type)) return p.things.length ? t("acc.sees.things", { n: p.things.length }) : t(p.shaped ? "acc.sees.shape" : "acc.sees.none");
  if (p.type === "street") return t("acc.sees.street", { code: p.street! });
  if (p.type === "district") return t("acc.sees.district", { code: p.district! });
  return t("acc.sees.city");
}

export function PlaceHead({ code, writes }: { code: string; writes: boolean }) {
  const [form, setForm] = useState<"add" | "edit" | null>(null);
  const p = place(code);
  if (!p) return null;
  return (
    <section class="place">
      <div class="grow"><h2>{tt(p.name)}{p.closed && <span class="tag off">{t("acc.closed")}</span>}</h2>
        <p class="muted"><span>{t(`acc.type.${p.type}` as Text)}</span><code>{p.code}</code><span><Icon name="eye" size={14} />{sees(p)}</span></p></div>
      {writes && <button class="btn" onClick={() => setForm("edit")}>{t("acc.place.edit")}</button>}
      {writes && Object.values(parents.value).some((under) => under.includes(p.type)) && <button class="btn" onClick={() => setForm("add")}><Icon name="plus" />{t("acc.place.add")}</button>}
      {form && <PlaceForm under={p} edit={form === "edit"} onClose={() => setForm(null)} />}
    </section>
  );
}

function PlaceForm({ under, edit, onClose }: { under: Place; edit: boolean; onClose: () => void }) {
  const types = (Object.keys(parents.value) as PlaceType[]).filter((k) => parents.value[k].includes(under.type));
  const [type, setType] = useState<PlaceType>(edit ? under.type : types[0]!);
  const [why, setWhy] = useState("");
  const save = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const list = (name: string) => text(name).split(/[\s,，]+/).filter(Boolean);
    const body: Record<string, unknown> = { name: { zh: text("zh"), en: text("en") } };
    if (type === "district") body.district = text("district");
    if (type === "street") body.street = text("street");
    if (AREAS.includes(type)) {
      body.things = list("things");
      if (list("shape").length) body.shape = list("shape").map(Number);
    }
    try {
      if (edit) {
        if (form.get("parent")) body.parent = text("parent");
        await strong(() => send("PATCH", `/api/v1/organisations/${under.code}`, { ...body, closed: form.get("closed") === "on", version: under.version }));
      } else {
        await strong(() => post("/api/v1/organisations", { ...body, code: text("code"), type, parent: under.code }));
        chosen.value = text("code");
      }
      await read();
      s.tell(t("acc.saved"));
      onClose();
    } catch (e2) {
      setWhy((e2 as Error).message);
    }
  };
  const old = edit ? under : null;
  return (
    <Dialog title={edit ? t("acc.place.edit") : t("acc.place.under", { name: tt(under.name) })} onClose={onClose}>
      <form class="form" onSubmit={save}>
        {!edit && <label class="field"><span>{t("acc.type")}</span><select value={type} onChange={(e) => setType(e.currentTarget.value as PlaceType)}>{types.map((k) => <option value={k}>{t(`acc.type.${k}` as Text)}</option>)}</select></label>}
        {!edit && <label class="field"><span>{t("acc.code")}</span><input name="code" required pattern="[a-z0-9][a-z0-9\-]{0,47}" title={t("acc.code.help")} /></label>}
        <div class="two"><label class="field"><span>{t("acc.name.zh")}</span><input name="zh" required maxLength={80} defaultValue={old?.name.zh} /></label>
          <label class="field"><span>{t("acc.name.en")}</span><input name="en" required maxLength={80} defaultValue={old?.name.en} /></label></div>
        {type === "district" && <label class="field"><span>{t("acc.district")}</span><input name="district" required pattern="\d{6}" defaultValue={old?.district ?? ""} /></label>}
        {type === "street" && <label class="field"><span>{t("acc.street")}</span><input name="street" required pattern="\d{9}" defaultValue={old?.street ?? ""} /></label>}
        {AREAS.includes(type) && <label class="field"><span>{t("acc.things")}</span><textarea name="things" defaultValue={old?.things.join("\n") ?? ""} /></label>}
        {AREAS.includes(type) && <label class="field"><span>{t("acc.shape")}</span><input name="shape" placeholder="121.42, 31.18, 121.44, 31.20" /></label>}
        {edit && under.parent && <label class="field"><span>{t("acc.parent")}</span><select name="parent">{places.value.filter((p) => parents.value[type].includes(p.type) && !p.closed && p.code !== under.code).map((p) => <option value={p.code} selected={p.code === under.parent}>{tt(p.name)}</option>)}</select></label>}
        {edit && under.parent && <label class="check"><input type="checkbox" name="closed" defaultChecked={under.closed} /><span>{t("acc.place.close")}</span></label>}
        {why && <p class="wrong" role="alert">{why}</p>}
        <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main">{t("acc.save")}</button></div>
      </form>
    </Dialog>
  );
}
