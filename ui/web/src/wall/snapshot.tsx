/** What a camera sees now: a still picture, anew every few seconds while somebody looks; said when there is none. */
import { useEffect, useState } from "preact/hooks";
import { hms } from "../common/format";
import { Icon } from "../common/icon";
import { t } from "../common/i18n";
import * as s from "./store";

const EVERY_MS = 10_000;

interface Seen { url: string; at: string | null }

/** Fetch a picture; the address of the one before is let go. */
function useSnapshot(code: string, every_ms: number): Seen | "none" | null {
  const [seen, setSeen] = useState<Seen | "none" | null>(null);
  useEffect(() => {
    let gone = false;
    let url = "";
    const read = async () => {
      if (document.visibilityState !== "visible") return;
      const answer = await fetch(`/api/v1/cameras/${encodeURIComponent(code)}/snapshot`).catch(() => null);
      if (gone) return;
      if (!answer?.ok) return setSeen((was) => (was === null ? "none" : was));
      const next = URL.createObjectURL(await answer.blob());
      if (gone) return URL.revokeObjectURL(next);
      if (url) URL.revokeObjectURL(url);
      url = next;
      setSeen({ url, at: answer.headers.get("X-Taken-At") });
    };
    void read();
    const timer = every_ms ? window.setInterval(() => void read(), every_ms) : 0;
    return () => { gone = true; clearInterval(timer); if (url) URL.revokeObjectURL(url); };
  }, [code]);
  return seen;
}

export function Snapshot({ code, name }: { code: string; name: string }) {
  const seen = useSnapshot(code, EVERY_MS);
  if (s.moment.value !== null || seen === null) return null;
  if (seen === "none") return <p class="snapshot none muted small"><Icon name="cctv" />{t("camera.nopicture")}</p>;
  return <figure class="snapshot"><img src={seen.url} alt={t("camera.picture", { name })} />{seen.at && <figcaption class="small"><i />{hms(seen.at)}</figcaption>}</figure>;
}

/** A small one in a row of cameras: read once. */
export function Thumb({ code, name }: { code: string; name: string }) {
  const seen = useSnapshot(code, 0);
  return <span class="thumb">{seen && seen !== "none" ? <img src={seen.url} alt={t("camera.picture", { name })} /> : <Icon name="cctv" />}</span>;
}
