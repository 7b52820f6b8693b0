-- What people draw on the wall: points, arrows, zones, texts; each version stays, so the past shows what then stood.
create table twin.plot (
  id uuid not null,
  version integer not null,
  form text not null check (form in ('point', 'line', 'arrow', 'zone', 'circle', 'text')),
  title text not null default '',
  geom geometry(geometry, 4326) not null,
  style jsonb not null default '{}',
  shared boolean not null,
  owner text not null,
  district text,
  street text,
  valid_from timestamptz not null default clock_timestamp(),
  valid_to timestamptz,                      -- null: stands
  primary key (id, version)
);
create index plot_geom on twin.plot using gist (geom);
create index plot_stands on twin.plot (owner) where valid_to is null;
grant select, insert, update on twin.plot to twin_app;
grant select on twin.plot to twin_audit;
