-- Official warnings as they came (CAP 1.2), and what was made of them.
create table twin.warning (
  id uuid primary key,
  identifier text not null unique,           -- the sender's own, as CAP has it
  sender text not null,
  sent timestamptz not null,
  kind text not null check (kind in ('alert', 'update', 'cancel')),
  exercise boolean not null default false,   -- CAP status Exercise or Test: a drill, never the real thing
  event text not null,
  level smallint not null check (level between 1 and 4),
  color text,
  headline text not null default '',
  description text not null default '',
  onset timestamptz,
  expires timestamptz,
  area text not null default '',
  districts text[] not null default '{}',
  geom geometry(geometry, 4326),
  ended_at timestamptz,                      -- cancelled or replaced
  received_at timestamptz not null default now()
);
create index warning_sent on twin.warning (sent desc);
grant select, insert, update on twin.warning to twin_app;
grant select on twin.warning to twin_audit;
