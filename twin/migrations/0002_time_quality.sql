-- Kinds that change, lineage, quality, and jobs that tell how far they are.

-- The order of fields is part of what a declaration says: jsonb would sort them.
alter table twin.declaration alter column doc type json using doc::json;

-- Names that fields had before: entries of the journal keep them, readers map them.
create table twin.former_name (
  kind text not null,
  former text not null,
  name text not null,
  at timestamptz not null default now(),
  primary key (kind, former)
);

-- Which thing came out of which: split, merged.
create table twin.lineage (
  child uuid not null references twin.thing (id),
  parent uuid not null references twin.thing (id),
  how text not null check (how in ('split', 'merge')),
  at timestamptz not null default now(),
  actor text not null,
  primary key (child, parent)
);
create index lineage_parent on twin.lineage (parent);

-- How far each reader of the journal has come.
create table twin.reader (
  name text primary key,
  seq bigint not null default 0,
  at timestamptz not null default now()
);

-- What fails which rule now; num 0 speaks of the kind as a whole.
create table twin.quality_result (
  kind text not null,
  rule text not null,
  num integer not null,
  severity text not null check (severity in ('error', 'warn', 'info')),
  owner text not null,
  district text not null default '',
  detail text not null default '',
  found_at timestamptz not null default now(),
  primary key (kind, rule, num)
);
create index quality_result_num on twin.quality_result (num) where num > 0;
create index quality_result_place on twin.quality_result (kind, district);

create table twin.quality_score (
  kind text not null,
  district text not null,                    -- '' : outside every district
  day date not null,
  things integer not null,
  errors integer not null,                   -- things whose worst failure is an error
  warns integer not null,
  infos integer not null,
  score real not null,
  primary key (kind, district, day)
);
create index quality_score_day on twin.quality_score (day);

create table twin.quality_run (
  id bigint generated always as identity primary key,
  kind text not null,
  at timestamptz not null default now(),
  why text not null,                         -- nightly | change | asked
  things integer not null,
  failures integer not null,
  seconds real not null
);
create index quality_run_kind on twin.quality_run (kind, at desc);

-- The case in which a rule of a kind is mended by its owner.
create table twin.quality_case (
  kind text not null,
  rule text not null,
  owner text not null,
  case_id uuid not null references twin."case" (id),
  primary key (kind, rule, owner)
);

alter table twin.job
  add column actor text not null default 'system',
  add column progress real not null default 0,
  add column result jsonb,
  add column started_at timestamptz,
  add column created_at timestamptz not null default now();
create index job_waiting on twin.job (due_at, id) where done_at is null and not dead;
drop index twin.job_due;

grant select on twin.former_name, twin.lineage, twin.reader, twin.quality_result, twin.quality_score,
  twin.quality_run, twin.quality_case to twin_app, twin_tiles, twin_audit;
grant insert, update, delete on twin.reader, twin.quality_result, twin.quality_score, twin.quality_case
  to twin_app;
grant insert on twin.lineage, twin.quality_run to twin_app;

-- Texts that may or may not be dates: what is none becomes nothing instead of an error.
create function twin.date_or_null(said text) returns date language plpgsql immutable strict as $$
begin
  if said !~ '^\d{4}-\d{2}-\d{2}$' then return null; end if;
  return make_date(left(said, 4)::int, substr(said, 6, 2)::int, right(said, 2)::int);
exception when datetime_field_overflow then return null;
end $$;
create function twin.moment_or_null(said text) returns timestamptz language plpgsql stable strict as $$
begin
  if said ~ '^\d{4}-\d{2}-\d{2}$' then
    return twin.date_or_null(said)::timestamp at time zone 'Asia/Shanghai';
  end if;
  if said !~ '^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)$' then
    return null;
  end if;
  return said::timestamptz;
exception when datetime_field_overflow or invalid_datetime_format then return null;
end $$;
