-- How much of each kind there is where: kept by the worker, read by catalogues instead of counting.
create table twin.kind_count (
  kind text not null,
  district text not null,                    -- '' : outside every district
  things integer not null,
  west double precision,
  south double precision,
  east double precision,
  north double precision,
  freshest timestamptz,
  counted_at timestamptz not null default now(),
  primary key (kind, district)
);
grant select on twin.kind_count to twin_app, twin_tiles, twin_audit;
grant insert, update, delete on twin.kind_count to twin_app;
