/** One kind: what it is at a glance, then its fields, quality, lineage and coverage. */
import { useEffect, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get } from "../../common/api";
import { num, when } from "../../common/format";
import { Icon } from "../../common/icon";
import { t, tt, type Key } from "../../common/i18n";
import { Table } from "../parts/table";
import * as s from "../state";
import { Coverage } from "./coverage";
import { Lineage } from "./lineage";
import { cycle, Fresh, Score } from "./parts";
import { Quality } from "./quality";
import type { Detail as Said, FieldInfo } from "./types";

const TABS = ["fields", "quality", "lineage", "coverage"] as const;
type Tab = (typeof TABS)[number];

function Fact({ label, children }: { label: Key; children: ComponentChildren }) {
  return <div><dt>{t(label)}</dt><dd>{children}</dd></div>;
}

function Facts({ of }: { of: Said }) {
  return (
    <dl class="facts">
      <Fact label="cat.things"><b class="big">{num(of.things)}</b></Fact>
      <Fact label="cat.score"><Score value={of.score} wide /></Fact>
      <Fact label="cat.fresh"><Fresh item={of} /></Fact>
      <Fact label="cat.cycle">{cycle(of.update_every)}</Fact>
      <Fact label="cat.provider">{tt(of.provider?.title) || "—"}</Fact>
      <Fact label="cat.share">{tt(of.share_title)}<span class="level">{of.level}</span></Fact>
      <Fact label="cat.databases">{of.databases.map((d) => tt(d.title)).join("、") || tt(of.topic_title)}</Fact>
      <Fact label="cat.system">{of.source_system || "—"}</Fact>
    </dl>
  );
}

function range(f: FieldInfo): string {
  if (f.codes) return f.codes.map((c) => tt(c.title)).slice(0, 8).join("、") + (f.codes.length > 8 ? "…" : "");
  if (f.targets.length) return f.targets.join(", ");
  if (f.min !== null && f.max !== null) return `${f.min} – ${f.max}`;
  if (f.min !== null || f.max !== null) return f.min !== null ? `≥ ${f.min}` : `≤ ${f.max}`;
  return tt(f.note as never);
}

function Fields({ of }: { of: Said }) {
  return (
    <Table label={t("cat.tab.fields")} rows={of.field_list} empty={t("cat.nofields")} id={(f) => f.name} columns={[
      { key: "title", title: t("cat.field"), cell: (f) => <b>{tt(f.title)}</b> },
      { key: "name", title: t("cat.name"), cell: (f) => <code>{f.name}</code> },
      { key: "type", title: t("cat.type"), cell: (f) => <>{t(`cat.type.${f.type.startsWith("ref") ? "ref" : f.type}` as Key)}{f.unit && <span class="unit">{tt(f.unit)}</span>}</> },
      { key: "required", title: t("cat.required"), cell: (f) => f.required ? <span class="yes"><Icon name="check" size={14} /><span class="sr">{t("value.yes")}</span></span> : "" },
      { key: "level", title: t("cat.level"), cell: (f) => <span class="level">{f.level}</span> },
      { key: "range", title: t("cat.range"), cell: (f) => <span class="muted range">{range(f)}</span> },
    ]} />
  );
}

function Tabs({ kind, on }: { kind: string; on: Tab }) {
  const move = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = TABS[(TABS.indexOf(on) + step + TABS.length) % TABS.length]!;
    s.go(`catalogue/${kind}/${next}`);
    requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
  };
  return (
    <div class="tabs" role="tablist" aria-label={t("cat.parts")} onKeyDown={move}>
      {TABS.map((tab) => (
        <button id={`tab-${tab}`} role="tab" aria-selected={tab === on} aria-controls="tabpanel" tabIndex={tab === on ? 0 : -1}
          onClick={() => s.go(`catalogue/${kind}/${tab}`)}>{t(`cat.tab.${tab}` as Key)}</button>
      ))}
    </div>
  );
}

export function Detail({ kind, tab }: { kind: string; tab: string | undefined }) {
  const [said, setSaid] = useState<Said | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  useEffect(() => {
    get<Said>(`/api/v1/catalogue/${encodeURIComponent(kind)}`).then(setSaid, (e: Error) => setWhy(e.message));
  }, [kind]);
  const on: Tab = TABS.includes(tab as Tab) ? (tab as Tab) : "fields";
  if (why) return <div class="page cat"><p role="alert">{why}</p><p><Back /></p></div>;
  if (!said) return <div class="page cat" aria-busy="true"><p class="muted">{t("cat.loading")}</p></div>;
  return (
    <div class="page cat">
      <header class="head detail">
        <div class="grow">
          <p class="crumb"><Back /><Icon name="chevron-right" size={14} /><span>{tt(said.topic_title)}</span></p>
          <h1>{tt(said.title)} <code>{said.kind}</code></h1>
        </div>
        <div class="acts">
          <span class="muted small">{t("cat.version", { n: said.version, at: said.changed_at ? when(said.changed_at) : "—" })}</span>
          {said.links.filter((l) => l.rel.startsWith("export.")).slice(0, 2).map((l) => <a class="btn" href={l.href} download><Icon name="file-text" />{l.rel.slice(7).toUpperCase()}</a>)}
          <a class="btn" href={said.links[0]!.href + "?f=html"}>API</a>
        </div>
      </header>
      <Facts of={said} />
      <Tabs kind={kind} on={on} />
      <div id="tabpanel" role="tabpanel" aria-labelledby={`tab-${on}`} class="panel">
        {on === "fields" && <Fields of={said} />}
        {on === "quality" && <Quality of={said} />}
        {on === "lineage" && <Lineage of={said} />}
        {on === "coverage" && <Coverage of={said} />}
      </div>
    </div>
  );
}

function Back() {
  return <a href="/console/catalogue" onClick={(e) => { if (e.metaKey || e.ctrlKey || e.button) return; e.preventDefault(); s.go("catalogue"); }}>{t("cat.title")}</a>;
}
