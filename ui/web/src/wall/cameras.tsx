/** Cameras: what they see drawn on the map, and which of them see the point that somebody clicks. */
import { useEffect } from "preact/hooks";
import { Icon } from "../common/icon";
import { km } from "../common/format";
import { t, type Key } from "../common/i18n";
import { get } from "../common/api";
import type { LonLat } from "../common/types";
import { clickHooks, theMap } from "./mapview";
import { Head } from "./rail";
import { Thumb } from "./snapshot";
import * as s from "./store";
import * as w from "./toolstore";

/** Sectors are drawn from here on: farther away they are dust. */
const FROM_ZOOM = 12.5;

async function loadSectors(): Promise<void> {
  const [v, zoom] = [s.view.value, theMap()?.map.getZoom() ?? 0];
  if (!v || zoom < FROM_ZOOM) {
    w.sectors.value = null;
    return;
  }
  w.sectors.value = await get<GeoJSON.FeatureCollection>(`/api/v1/cameras/views.geojson?bbox=${v.map((n) => n.toFixed(5)).join(",")}`);
}

async function look(at: LonLat): Promise<void> {
  w.looked.value = { at, cameras: await w.camerasSeeing(at, 30) };
}

/** More pictures than this at once would be asked of the cameras for nobody. */
const THUMBS = 6;

export function CameraRows({ cameras }: { cameras: w.Camera[] }) {
  return (
    <ul class="mini cams">{cameras.map((c, i) => (
      <li key={c.num}><button onClick={() => void s.openThing(String(c.num))}>
        {i < THUMBS ? <Thumb code={c.code} name={c.name || c.code} /> : <Icon name="cctv" />}<span class="grow cut">{c.name || c.code}</span>
        <span class="muted small">{t(`camera.${c.type}` as Key)}{c.distance_m !== undefined ? ` · ${km(c.distance_m)}` : ""}</span>
        <span class={`dot ${c.online === null ? "stale" : c.online ? "good" : "bad"}`} title={t(c.online === null ? "camera.unknown" : c.online ? "camera.online" : "camera.offline")} />
      </button></li>
    ))}</ul>
  );
}

export function Cameras() {
  const failed = (why: Error) => s.tell(why.message);
  useEffect(() => {
    const clicked = (at: LonLat) => void look(at).catch(failed);
    clickHooks.add(clicked);
    return () => { clickHooks.delete(clicked); w.looked.value = w.sectors.value = null; };
  }, []);
  useEffect(() => { loadSectors().catch(failed); }, [s.view.value]);
  const seen = w.looked.value;
  return (
    <>
      <Head title={t("rail.cameras")} />
      <p class="hint small muted">{t("camera.hint")}</p>
      {!w.sectors.value && <p class="hint small muted">{t("camera.nearer")}</p>}
      {seen && (
        <div class="scroll pad">
          <h3>{t("camera.seeing")}<span class="muted">{seen.cameras.length}</span></h3>
          {!seen.cameras.length && <p class="muted small">{t("camera.none")}</p>}
          <CameraRows cameras={seen.cameras} />
        </div>
      )}
      <div class="pad"><button class="btn" onClick={() => { const c = theMap()!.map.getCenter(); void look([c.lng, c.lat]).catch(failed); }}><Icon name="crosshair" />{t("camera.centre")}</button></div>
    </>
  );
}
