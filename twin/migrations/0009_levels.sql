-- Levels of detail: what stands for many things from afar. Kept by the worker, read by tiles.
create table twin.level (
  kind text not null,
  z smallint not null,
  x integer not null,
  y integer not null,
  district text not null,                    -- '' : outside every district
  class text not null,                       -- the value of the field that colours the kind, or ''
  band smallint not null,                    -- 0: cells (coverage, or dots); 1 … 3: outlines by share
  body bytea not null,
  primary key (kind, z, x, y, district, class, band)
);
-- Bodies are packed already or read whole: compressing them again costs every reader.
alter table twin.level alter column body set storage external;
create table twin.level_kind (
  kind text primary key,
  shape text not null,                       -- what of the declaration the levels were made from
  seq bigint not null,                       -- how far the journal has been followed
  built_at timestamptz not null default now()
);
-- What changed lately, for those who hold tiles in memory; z null: all of a kind.
create table twin.level_change (
  stamp bigint generated always as identity primary key,
  kind text not null,
  z smallint,
  x integer,
  y integer,
  at timestamptz not null default now()
);
grant select on twin.level, twin.level_kind, twin.level_change to twin_app, twin_tiles, twin_audit;
grant insert, update, delete on twin.level, twin.level_kind, twin.level_change to twin_app;
