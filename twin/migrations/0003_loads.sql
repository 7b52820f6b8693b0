-- Loads: one row names all that a file brought in; inserted things by their number ranges.

create table twin.load (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  kind text not null,
  source text not null,
  file text,
  actor text not null,
  nums int4multirange not null default '{}',
  columns text[] not null default '{}',      -- what the digest covers, in this order
  digest text,                               -- SM3 of the inserted rows as COPY text, by num
  counts jsonb not null default '{}',
  undone_at timestamptz,
  undone_by text
);
create index load_kind on twin.load (kind, at);
create index load_nums on twin.load using gist (nums);
grant select on twin.load to twin_app, twin_tiles, twin_audit, twin_ingest;
grant insert, update on twin.load to twin_app;
-- What a load changed in things that stood before.
create index journal_load on twin.journal (((note->>'load')::bigint)) where class = 'thing' and note is not null;
-- Reserving numbers of many things at once.
grant usage, select on sequence twin.thing_num_seq to twin_app;

-- A name that is empty is not searched for.
drop index twin.thing_name;
create index thing_name on twin.thing using gin (name gin_trgm_ops) where name <> '';
