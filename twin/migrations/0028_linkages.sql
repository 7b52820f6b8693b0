-- Linkages (场景联动): what stands between a trigger and what it fires, and what each firing has done.

create table iot.linkage_state (
  linkage text not null,
  num integer not null default 0,            -- the thing; 0: the linkage itself
  up boolean not null default false,         -- its value is past the limit
  at timestamptz not null,                   -- the newest that was looked at
  fired_at timestamptz,
  primary key (linkage, num)
);

create table iot.linkage_run (
  id uuid primary key,
  linkage text not null,
  version integer not null,
  at timestamptz not null,
  actor text not null,
  cause jsonb not null,                      -- trigger, value, alarm, thing
  num integer references twin.thing (num),
  state text not null check (state in ('done', 'failed', 'held')),
  did jsonb not null default '[]',           -- what each action came to
  fault text
);
create index linkage_run_of on iot.linkage_run (linkage, at desc);
create index linkage_run_at on iot.linkage_run (at desc);

grant select, insert, update, delete on iot.linkage_state to twin_app;
grant select, insert on iot.linkage_run to twin_app;
grant select on iot.linkage_run to twin_audit;
