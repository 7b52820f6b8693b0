-- Heights of the ground as tiles (Terrarium PNG), made from a file that somebody took; the newest that is not gone is shown.
create table twin.terrain (
  id uuid primary key,
  name text not null,
  west float8 not null,
  south float8 not null,
  east float8 not null,
  north float8 not null,
  finest smallint not null check (finest between 0 and 22),
  lowest_m float8 not null,
  highest_m float8 not null,
  step_m float8 not null,
  by text not null,
  at timestamptz not null default now(),
  gone_at timestamptz
);
create table twin.terrain_tile (
  terrain uuid not null references twin.terrain (id),
  z smallint not null,
  x integer not null,
  y integer not null,
  png bytea not null,
  primary key (terrain, z, x, y)
);
grant select, insert, update on twin.terrain to twin_app;
grant select, insert, delete on twin.terrain_tile to twin_app;
grant select on twin.terrain, twin.terrain_tile to twin_audit;
