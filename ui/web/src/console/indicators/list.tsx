/** All indicators as a tree of topics and groups beside a table that opens each of them. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../common/api";
import { hm } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Delta, Figure, Sign, Spark, Target } from "./parts";
import type { Board, Check, Indicator, Level } from "./types";

const TOPICS = ["greening", "forestry", "sanitation", "appearance", "landscape", "activity", "events", "devices", "data", "government"] as const;
const LEVELS: Level[] = ["bad", "warn", "good", "none"];
const board = signal<Board | null>(null);
const checks = signal<Check[]>([]);
const topic = signal<string>("greening");
const group = signal<string | null>(null);
const level = signal<Level | null>(null);
const words = signal("");

async function load(): Promise<void> {
  const [b, c] = await Promise.all([get<Board>("/api/v1/indicators/board"), get<{ checks: Check[] }>("/api/v1/indicators/checks")]);
  board.value = b;
  checks.value = c.checks;
}

function fits(one: Indicator): boolean {
  const asked = words.value.trim().toLowerCase();
  if (asked) return `${one.key} ${one.title.zh} ${one.title.en}`.toLowerCase().includes(asked) && (!level.value || one.level === level.value);
  if (level.value && one.level !== level.value) return false;
  const of = board.value!.groups.find((g) => g.key === one.group);
  return group.value ? one.group === group.value : of?.topic === topic.value;
}

function Tree() {
  const all = board.value!;
  const count = (f: (i: Indicator) => boolean) => all.indicators.filter(f).length;
  return (
    <nav class="tree" aria-label={t("ind.tree")}>
      {TOPICS.filter((k) => all.groups.some((g) => g.topic === k)).map((k) => {
        const groups = all.groups.filter((g) => g.topic === k), keys = new Set(groups.map((g) => g.key));
        const open = topic.value === k;
        return (
          <section>
            <button aria-current={open && !group.value && !words.value ? "true" : undefined} aria-expanded={open} onClick={() => { topic.value = k; group.value = null; words.value = ""; }}>{t(`ind.topic.${k}` as Key)}<i>{count((i) => keys.has(i.group))}</i></button>
            {open && groups.map((g) => <button class="sub" aria-current={group.value === g.key ? "true" : undefined} onClick={() => { group.value = g.key; words.value = ""; }}>{tt(g.title)}<i>{count((i) => i.group === g.key)}</i></button>)}
          </section>
        );
      })}
    </nav>
  );
}

const columns = (): Column<Indicator>[] => [
  { key: "level", title: t("ind.level"), cell: (i) => <Sign level={i.level} />, width: "56px" },
  { key: "title", title: t("ind.one"), cell: (i) => <span class="two"><b>{tt(i.title)}</b>{i.document && <span class="muted small">{i.document}</span>}</span> },
  { key: "value", title: t("ind.value"), number: true, cell: (i) => <Figure of={i} /> },
  { key: "target", title: t("ind.target"), cell: (i) => <Target of={i} /> },
  { key: "delta", title: t("ind.delta"), number: true, cell: (i) => <Delta of={i} /> },
  { key: "trend", title: t("ind.trend"), cell: (i) => <Spark of={i} /> },
  { key: "at", title: t("ind.at"), cell: (i) => <span class="muted nowrap">{i.at ? hm(i.at) : "—"}</span> },
];

export function List() {
  useEffect(() => {
    const fetch = () => load().catch((why: Error) => s.tell(why.message, true));
    void fetch();
    const timer = setInterval(fetch, 15_000);
    return () => clearInterval(timer);
  }, []);
  if (!board.value) return <div class="page ind"><Head title={t("ind.title")} about={t("dev.loading")} /></div>;
  const all = board.value.indicators, rows = all.filter(fits);
  const wrong = checks.value.filter((c) => c.holds === false);
  return (
    <div class="page ind cat">
      <Head title={t("ind.title")} about={t("ind.about", { n: all.length, bad: all.filter((i) => i.level === "bad").length, checks: checks.value.length })}>
        <a class="btn" href="/console/acceptance" onClick={(e) => { e.preventDefault(); s.go("acceptance"); }}><Icon name="shield-check" />{t("acc.title")}</a>
      </Head>
      {wrong.map((c) => <p class="warnline" role="alert">{t("ind.check.wrong")} {tt(c.say)} <code>{c.expr}</code></p>)}
      <div class="split">
        <Tree />
        <section>
          <div class="asks">
            <label class="search"><Icon name="search" /><input type="search" placeholder={t("ind.search")} aria-label={t("ind.search")} value={words.value} onInput={(e) => (words.value = e.currentTarget.value)} /></label>
            <div class="chips" role="group" aria-label={t("ind.level")}>
              {LEVELS.map((l) => <button class={`chip ${l}`} aria-pressed={level.value === l} onClick={() => (level.value = level.value === l ? null : l)}><Sign level={l} text /></button>)}
            </div>
            <span class="count muted">{t("ind.count", { n: rows.length })}</span>
          </div>
          <Table columns={columns()} rows={rows} label={t("ind.title")} empty={t("ind.none")} id={(i) => i.key} onOpen={(i) => s.go(`indicators/${i.key}`)} />
        </section>
      </div>
    </div>
  );
}
