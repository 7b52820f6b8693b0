/** Scenes: one click sets layers, topic, side, panel and camera for an occasion; who may, keeps what is shown as a scene. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../common/api";
import { Icon } from "../common/icon";
import { t, tt } from "../common/i18n";
import type { Titled } from "../common/types";
import { camera, setCamera, type CameraState } from "./mapview";
import { Head, openPanel } from "./rail";
import { setSideTab, sideTab, type SideTab } from "./side";
import * as s from "./store";
import { showTopic } from "./topic";
import * as w from "./toolstore";

export interface Scene { key: string; title: Titled; note?: Titled; icon?: string; topic?: string; show?: string[]; hide?: string[]; kinds?: string[]; gathering?: s.Gathering; side?: SideTab; panel?: s.PanelName; three_d?: boolean; plan?: string; camera?: CameraState }
export const scenes = signal<Scene[]>([]);
export const scene = signal("");
const failed = (why: Error) => s.tell(why.message);

export async function loadScenes(): Promise<void> {
  scenes.value = (await get<{ scenes: Scene[] }>("/api/v1/scenes")).scenes;
}

/** Set the wall to a scene; what a scene does not say stays as it is. */
export function applyScene(one: Scene): void {
  scene.value = one.key;
  if (one.topic) showTopic(one.topic);
  if (one.show || one.hide) {
    const hidden = new Set(s.hidden.value);
    for (const id of one.show ?? []) hidden.delete(id);
    for (const id of one.hide ?? []) hidden.add(id);
    s.hidden.value = hidden;
  }
  if (one.gathering) s.gathering.value = one.gathering;
  if (one.side) setSideTab(one.side);
  if (one.kinds) w.chosenKinds.value = one.kinds;
  if (one.panel && one.panel !== "scenes") openPanel(one.panel);
  if (one.three_d !== undefined) s.threeD.value = one.three_d;
  // The switch to 3D moves the camera itself: the scene's own place comes after it.
  if (one.camera) setTimeout(() => setCamera({ ...one.camera!, bearing: one.camera!.bearing ?? 0, pitch: one.camera!.pitch ?? (one.three_d ? 58 : 0) }), one.three_d ? 950 : 0);
}

function Compose({ done }: { done(): void }) {
  const [title, setTitle] = useState("");
  const save = (e: Event) => {
    e.preventDefault();
    const hidden = s.hidden.value;
    const all = s.tree.value.groups.flatMap((g) => g.layers);
    const at = camera()!;
    const document: Scene = {
      key: `own_${Date.now().toString(36)}`, title: { zh: title.trim(), en: title.trim() }, icon: "presentation", topic: s.topic.value || "all",
      show: all.filter((l) => !l.visible && !hidden.has(l.id)).map((l) => l.id), hide: all.filter((l) => l.visible && hidden.has(l.id)).map((l) => l.id),
      kinds: w.chosenKinds.value, gathering: s.gathering.value, side: sideTab(), three_d: s.threeD.value, camera: { ...at, bearing: at.bearing, pitch: at.pitch },
    };
    post(`/api/v1/policies/scene/${document.key}/publish`, { document, note: "" }).then(async () => { await loadScenes(); done(); }, failed);
  };
  return (
    <form class="ask" onSubmit={save}>
      <p class="small muted">{t("scene.compose.what")}</p>
      <label class="field"><span>{t("scene.name")}</span><input name="scene" maxLength={60} value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
      <div class="buttons"><button type="button" class="btn" onClick={done}>{t("action.cancel")}</button><button class="btn main" disabled={!title.trim()}>{t("plot.save.scene")}</button></div>
    </form>
  );
}

export function Scenes() {
  const [composing, setComposing] = useState(false);
  useEffect(() => { loadScenes().catch(failed); }, []);
  const mayCompose = s.session.value.acts.includes("policy.write");
  return (
    <>
      <Head title={t("rail.scenes")} />
      <div class="scroll pad">
        <ul class="scenes">{scenes.value.map((one) => <li key={one.key}><button class={scene.value === one.key ? "on" : ""} data-scene={one.key} onClick={() => applyScene(one)}><Icon name={one.icon ?? "presentation"} size={20} /><span class="grow"><span class="cut">{tt(one.title)}</span>{one.note && <span class="muted small">{tt(one.note)}</span>}</span></button></li>)}</ul>
        {mayCompose && !composing && <button class="btn" onClick={() => setComposing(true)}><Icon name="plus" />{t("scene.compose")}</button>}
        {composing && <Compose done={() => setComposing(false)} />}
      </div>
    </>
  );
}
