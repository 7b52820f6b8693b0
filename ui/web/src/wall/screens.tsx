/** The screens of this room: which there are, who leads; tour, kiosk, and the address of what is shown. */
import { Icon } from "../common/icon";
import { t, type Key } from "../common/i18n";
import { address, kiosk, leading, room, screen, SCREENS } from "./place";
import { Head } from "./rail";
import { lead, standing } from "./room";
import * as s from "./store";
import { tour, touring } from "./tour";

/** What is shown, as an address that opens the same place, layers and time. */
export function link(): string {
  const hidden = s.hidden.value;
  const all = s.tree.value.groups.flatMap((g) => g.layers);
  const sel = s.selected.value;
  return address({
    at: s.moment.value, topic: s.topic.value, threeD: s.threeD.value, selected: sel ? `${sel.type}:${sel.type === "thing" ? sel.key : sel.id}` : null,
    on: all.filter((l) => !l.visible && !hidden.has(l.id)).map((l) => l.id), off: all.filter((l) => l.visible && hidden.has(l.id)).map((l) => l.id),
  });
}

export function copyLink(): void {
  const made = link();
  void navigator.clipboard?.writeText(made).then(() => s.tell(t("link.copied")), () => s.tell(made));
}

export function Screens() {
  const here = standing.value;
  const base = `/wall?room=${encodeURIComponent(room ?? "hall")}`;
  return (
    <>
      <Head title={t("rail.screens")} />
      <div class="scroll pad">
        <ul class="screens">
          {SCREENS.map((name) => {
            const on = here.filter((one) => one.screen === name);
            return (
              <li class={name === screen ? "on" : ""}>
                <a href={`${base}&screen=${name}`} target="_blank" rel="noopener">
                  <b>{t(`screen.${name}` as Key)}</b><span class="muted small">{t(`screen.${name}.what` as Key)}</span>
                  <span class="small">{on.length > 0 ? <><span class="dot good" />{t(on.some((o) => o.lead) ? "screen.leads" : "screen.follows", { n: on.length })}</> : <span class="muted">{t("screen.off")}</span>}</span>
                </a>
              </li>
            );
          })}
        </ul>
        {room ? <label class="check"><input type="checkbox" checked={leading.value} onChange={(e) => lead(e.currentTarget.checked)} />{t("screen.lead")}</label> : <p class="small muted">{t("screen.alone")}</p>}
        <h3>{t("tour.title")}</h3>
        <p class="small muted">{t("tour.what")}</p>
        <div class="modes three">{[10, 20, 60].map((n) => <button onClick={() => tour(true, n)}>{t("tour.every", { n })}</button>)}</div>
        {touring.value && <button class="btn" onClick={() => tour(false)}>{t("tour.stop")}</button>}
        <h3>{t("link.title")}</h3>
        <p class="small muted">{t("link.what")}</p>
        <button class="btn" onClick={copyLink}><Icon name="link-2" />{t("link.copy")}</button>
        {!kiosk && <p class="small muted"><a class="link" href={`${base}&screen=${screen}&kiosk=1`}>{t("kiosk.open")}</a></p>}
      </div>
    </>
  );
}
