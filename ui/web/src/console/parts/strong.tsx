/** Acts of weight: asks who it is once more where the server wants that, then goes on. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { post, Problem } from "../../common/api";
import { t } from "../../common/i18n";
import * as s from "../state";
import { Dialog } from "./dialog";

const waiting = signal<{ done: (proved: boolean) => void } | null>(null);
const wrong = signal("");

/** Do something; when it asks for a proof, ask the person, and do it again. */
export async function strong<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (why) {
    if (!(why instanceof Problem) || why.code !== "step_up_needed") throw why;
    const proved = await new Promise<boolean>((done) => { wrong.value = ""; waiting.value = { done }; });
    if (!proved) throw why;
    return act();
  }
}

export function Strong() {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => { if (waiting.value) input.current?.focus(); }, [waiting.value]);
  if (!waiting.value) return null;
  const end = (proved: boolean) => { waiting.value?.done(proved); waiting.value = null; };
  const prove = async (e: SubmitEvent) => {
    e.preventDefault();
    try {
      await post("/api/v1/session/step-up", { proof: input.current!.value });
      end(true);
    } catch (why) {
      wrong.value = why instanceof Problem && why.status === 403 ? t("me.proof.wrong") : (why as Error).message;
      input.current?.select();
    }
  };
  const code = s.session.value.second_factor;
  return (
    <Dialog title={t("me.proof.title")} onClose={() => end(false)}>
      <form class="form" onSubmit={prove}>
        <p class="muted">{t(code ? "me.proof.code" : "me.proof.password")}</p>
        <label class="field"><span>{t(code ? "login.code" : "login.password")}</span>
          {code ? <input ref={input} inputMode="numeric" autocomplete="one-time-code" required maxLength={32} /> : <input ref={input} type="password" autocomplete="current-password" required maxLength={256} />}</label>
        {wrong.value && <p class="wrong" role="alert">{wrong.value}</p>}
        <div class="ends"><button type="button" class="btn" onClick={() => end(false)}>{t("acc.cancel")}</button><button class="btn main">{t("me.proof.confirm")}</button></div>
      </form>
    </Dialog>
  );
}
