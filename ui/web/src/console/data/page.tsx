/** Loading data: a file, its columns, what would become of it, and what became of it. */
import { useEffect } from "preact/hooks";
import "./data.css";
import { Icon } from "../../common/icon";
import { num } from "../../common/format";
import { t } from "../../common/i18n";
import { Head } from "../parts/head";
import { go, path, tell } from "../state";
import * as api from "./api";
import { Checked } from "./check";
import { Done } from "./done";
import { Mapping } from "./mapping";
import * as m from "./model";
import { Past } from "./past";
import { Start } from "./start";

const STEPS: [m.Step, "load.step.map" | "load.step.check" | "load.step.done"][] = [["map", "load.step.map"], ["check", "load.step.check"], ["done", "load.step.done"]];

function Steps() {
  const at = STEPS.findIndex(([s]) => s === m.step.value);
  return (
    <ol class="steps" aria-label={t("load.steps")}>
      {STEPS.map(([step, title], i) => (
        <li class={i < at ? "past" : i === at ? "now" : ""} aria-current={i === at ? "step" : undefined}>
          <button disabled={m.busy.value || i >= at || m.step.value === "done"} onClick={() => (m.step.value = step)}>
            <span class="no">{i < at ? <Icon name="check" size={14} /> : i + 1}</span>{t(title)}
          </button>
        </li>
      ))}
    </ol>
  );
}

function size(bytes: number): string {
  return bytes < 1024 * 1024 ? `${num(Math.max(1, Math.round(bytes / 1024)))} KB` : `${num(bytes / 1024 / 1024)} MB`;
}

function Work() {
  const f = m.file.value;
  if (!f) return <div class="page" aria-busy="true" />;
  const facts = [f.format.toUpperCase(), f.encoding, f.total === null ? null : t("load.rows", { n: num(f.total) }), t("load.columns", { n: f.columns.length }), f.crs, size(f.bytes)];
  return (
    <div class="page work">
      <header class="filehead">
        <button class="ghost" aria-label={t("load.back")} title={t("load.back")} onClick={() => go("data")}><Icon name="chevron-left" size={20} /></button>
        <div class="grow"><h1 class="cut">{f.file}</h1><p class="muted small">{facts.filter(Boolean).join(" · ")}</p></div>
        <Steps />
      </header>
      {m.progress.value !== null && <Progress share={m.progress.value} />}
      {m.step.value === "map" ? <Mapping /> : m.step.value === "check" ? <Checked /> : <Done />}
    </div>
  );
}

export function Progress({ share }: { share: number }) {
  return (
    <div class="progress" role="progressbar" aria-label={t("load.working")} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)}>
      <i style={{ width: `${Math.max(2, share * 100)}%` }} />
    </div>
  );
}

export default function Data() {
  const upload = path.value.split("/")[1];
  useEffect(() => {
    if (!m.all.value) api.kinds().then((k) => (m.all.value = k), (why: Error) => tell(why.message, true));
  }, []);
  useEffect(() => {
    if (upload) void m.open(upload);
    else m.reset();
  }, [upload]);
  if (upload) return <Work />;
  return (
    <div class="page">
      <Head title={t("console.data")} about={t("load.about")} />
      <Start />
      <Past />
    </div>
  );
}
