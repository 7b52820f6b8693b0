/** A telephone number: masked until somebody asks for it, which the audit keeps; then it can be called. */
import { useEffect, useState } from "preact/hooks";
import { reveal } from "./contacts";
import { Icon } from "./icon";
import { t } from "./i18n";

export function Phone({ id, masked, may, tell }: { id: string; masked: string; may: boolean; tell: (why: string) => void }) {
  const [shown, setShown] = useState<string | null>(null);
  // A number does not stay on a wall that others read.
  useEffect(() => {
    if (shown === null) return undefined;
    const timer = setTimeout(() => setShown(null), 60_000);
    return () => clearTimeout(timer);
  }, [shown]);
  if (shown !== null) return <a class="phone num" href={`tel:${shown.replace(/[^0-9+]/g, "")}`}><Icon name="smartphone" size={14} />{shown}</a>;
  if (!may) return <span class="phone num muted">{masked || "—"}</span>;
  return (
    <button type="button" class="phone num" data-reveal={id} title={t("con.reveal")} aria-label={`${t("con.reveal")} ${masked}`} onClick={() => void reveal(id).then(setShown, (e: Error) => tell(e.message))}>
      <span class="muted">{masked}</span><Icon name="eye" size={14} />
    </button>
  );
}
