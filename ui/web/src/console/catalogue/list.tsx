/** The list: topics and databases on the left, words and facets above, one line a kind. */
import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { get } from "../../common/api";
import { num } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Head } from "../parts/head";
import { Table, type Column } from "../parts/table";
import * as s from "../state";
import { Failing, Fresh, Score } from "./parts";
import type { Catalogue, Item } from "./types";

export const catalogue = signal<Catalogue | null>(null);
const words = signal("");
const place = signal<string>("");
const facets = signal<Record<string, string>>({});
const order = signal<{ key: string; down: boolean }>({ key: "", down: false });

const CONDITIONS: Record<string, (i: Item) => boolean> = {
  failing: (i) => i.failures.error + i.failures.warn > 0,
  stale: (i) => i.fresh === false,
  empty: (i) => i.things === 0,
};
const SORTS: Record<string, (i: Item) => number | string> = {
  title: (i) => tt(i.title), things: (i) => i.things, fresh: (i) => i.freshest ?? "", score: (i) => i.score ?? -1,
  failing: (i) => i.failures.error * 1e9 + i.failures.warn * 1e4 + i.failures.info,
};

function text(i: Item): string {
  return [i.kind, i.title.zh, i.title.en, i.provider?.title.zh, i.provider?.title.en, i.source_system, ...i.databases.flatMap((d) => [d.title.zh, d.title.en])].join(" ").toLowerCase();
}

function shown(all: Item[]): Item[] {
  const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const { level, share, shape, state } = facets.value;
  const [what, key] = place.value.split(":");
  const found = all.filter((i) =>
    (!what || (what === "topic" ? i.topic === key : i.databases.some((d) => d.key === key))) &&
    (!level || i.level === level) && (!share || i.share === share) && (!shape || i.geometry === shape) &&
    (!state || CONDITIONS[state]!(i)) && asked.every((w) => text(i).includes(w)));
  const by = SORTS[order.value.key];
  if (by) found.sort((a, b) => { const [x, y] = [by(a), by(b)]; return (x < y ? -1 : x > y ? 1 : 0) * (order.value.down ? -1 : 1); });
  return found;
}

function Tree({ data }: { data: Catalogue }) {
  const many = (test: (i: Item) => boolean) => data.items.filter(test).length;
  const line = (id: string, label: string, n: number, sub = false) => (
    <button class={sub ? "sub" : ""} aria-current={place.value === id ? "true" : undefined} onClick={() => (place.value = id)}><span class="cut">{label}</span><i>{n}</i></button>
  );
  return (
    <nav class="tree" aria-label={t("cat.tree")}>
      {line("", t("cat.all"), data.items.length)}
      {data.topics.map((topic) => {
        const mine = data.databases.filter((d) => d.topic === topic.key);
        return (
          <section>
            {line(`topic:${topic.key}`, tt(topic.title), many((i) => i.topic === topic.key))}
            {mine.map((d) => line(`database:${d.key}`, tt(d.title), many((i) => i.databases.some((x) => x.key === d.key)), true))}
          </section>
        );
      })}
    </nav>
  );
}

function Facet({ name, options }: { name: string; options: [string, string][] }) {
  const id = `facet-${name}`;
  return (
    <label class="facet" for={id}><span class="sr">{t(`cat.facet.${name}` as Key)}</span>
      <select id={id} value={facets.value[name] ?? ""} onChange={(e) => (facets.value = { ...facets.value, [name]: e.currentTarget.value })}>
        <option value="">{t(`cat.facet.${name}` as Key)}</option>
        {options.map(([value, label]) => <option value={value}>{label}</option>)}
      </select>
    </label>
  );
}

function Sorted({ by, label }: { by: string; label: Key }) {
  const on = order.value.key === by;
  return (
    <button class="sort" aria-pressed={on} onClick={() => (order.value = { key: by, down: on ? !order.value.down : by !== "title" })}>
      {t(label)}{on && <Icon name={order.value.down ? "chevron-down" : "chevron-up"} size={12} />}
    </button>
  );
}

function columns(): Column<Item>[] {
  return [
    { key: "title", title: <Sorted by="title" label="cat.kind" />, cell: (i) => <span class="kind"><b>{tt(i.title)}</b><span class="muted small">{i.databases.map((d) => tt(d.title)).join(" · ") || tt(i.topic_title)}</span></span> },
    { key: "provider", title: t("cat.provider"), cell: (i) => tt(i.provider?.title) || <span class="muted">—</span> },
    { key: "share", title: t("cat.share"), cell: (i) => <span class="nowrap">{tt(i.share_title)} <span class="level" title={t("cat.level")}>{i.level}</span></span> },
    { key: "things", title: <Sorted by="things" label="cat.things" />, number: true, cell: (i) => num(i.things) },
    { key: "fresh", title: <Sorted by="fresh" label="cat.fresh" />, cell: (i) => <Fresh item={i} /> },
    { key: "score", title: <Sorted by="score" label="cat.score" />, cell: (i) => <Score value={i.score} />, width: "150px" },
    { key: "failing", title: <Sorted by="failing" label="cat.failing" />, cell: (i) => <Failing failures={i.failures} /> },
  ];
}

export function List() {
  useEffect(() => {
    get<Catalogue>("/api/v1/catalogue").then((found) => (catalogue.value = found), (why: Error) => s.tell(why.message, true));
  }, []);
  const data = catalogue.value;
  const rows = useMemo(() => (data ? shown(data.items) : []), [data, words.value, place.value, facets.value, order.value]);
  if (!data) return <div class="page" aria-busy="true"><Head title={t("cat.title")} about={t("cat.loading")} /></div>;
  const all = data.items.reduce((n, i) => n + i.things, 0);
  const pick = (key: "level" | "share") => [...new Map(data.items.map((i) => [i[key], key === "share" ? tt(i.share_title) : i[key]]))].sort();
  const reset = words.value || place.value || Object.values(facets.value).some(Boolean);
  const database = data.databases.find((d) => place.value === `database:${d.key}`);
  return (
    <div class="page cat">
      <Head title={t("cat.title")} about={t("cat.about", { kinds: data.items.length, databases: data.databases.length, things: num(all) })}>
        <a class="btn" href="/api/v1/catalogue.dcat.jsonld">DCAT</a>
        <a class="btn" href="/ogc/collections/catalogue/items?limit=1000">OGC Records</a>
      </Head>
      <div class="split">
        <Tree data={data} />
        <div class="found">
          <div class="asks" role="search">
            <label class="search"><Icon name="search" /><span class="sr">{t("cat.search")}</span>
              <input type="search" value={words.value} placeholder={t("cat.search")} onInput={(e) => (words.value = e.currentTarget.value)} />
            </label>
            <Facet name="state" options={Object.keys(CONDITIONS).map((k) => [k, t(`cat.state.${k}` as Key)])} />
            <Facet name="share" options={pick("share")} />
            <Facet name="level" options={pick("level")} />
            <Facet name="shape" options={["point", "line", "polygon", "none"].map((k) => [k, t(`cat.shape.${k}` as Key)])} />
            {reset && <button class="btn" onClick={() => { words.value = ""; place.value = ""; facets.value = {}; }}>{t("cat.reset")}</button>}
            <span class="muted small count" role="status">{t("cat.found", { n: rows.length })}</span>
          </div>
          {database && <p class="about muted">{tt(database.description)}</p>}
          <Table columns={columns()} rows={rows} label={t("cat.title")} empty={t("cat.none")} id={(i) => i.kind} onOpen={(i) => s.go(`catalogue/${i.kind}`)} />
        </div>
      </div>
    </div>
  );
}
