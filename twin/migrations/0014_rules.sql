-- Alarm rules, alarms, shadow and commands, scenes, forwarding, predictions, updates of devices.

create schema if not exists iot;
grant usage on schema iot to twin_app, twin_ingest, twin_tiles, twin_audit;
grant select on twin.declaration to twin_ingest;

-- What the writer saw cross a limit, in the transaction of the values; the alarm engine takes it away.
create table iot.candidate (
  id bigint generated always as identity primary key,
  rule text not null,
  num integer not null,
  at timestamptz not null,
  up boolean not null,                       -- crossed the limit; false: came back behind the clear limit
  value double precision not null
) with (autovacuum_vacuum_scale_factor = 0.02);

-- Where a rule stands with a thing while it is not at rest.
create table iot.watch (
  rule text not null,
  num integer not null,
  since timestamptz not null,                -- true without a break since then
  at timestamptz not null,                   -- of the newest value looked at
  value double precision,
  state text not null check (state in ('pending', 'firing', 'clearing')),
  detail jsonb,
  primary key (rule, num)
) with (fillfactor = 50);

-- One thing, one rule, one stretch of time. What people act on is the case, which may hold many.
create table iot.alarm (
  id uuid primary key,
  rule text not null,
  rule_version integer not null,
  num integer not null references twin.thing (num),
  property text,
  level smallint not null check (level between 1 and 4),
  value double precision,
  peak double precision,
  since timestamptz not null,                -- the condition holds since
  raised_at timestamptz not null,
  cleared_at timestamptz,
  case_id uuid references twin."case" (id),  -- null: silenced
  silence bigint,
  district text,
  street text,
  point geometry(Point, 4326),
  detail jsonb not null default '{}'
);
create unique index alarm_standing on iot.alarm (rule, num) where cleared_at is null;
create index alarm_case on iot.alarm (case_id);
create index alarm_num on iot.alarm (num, raised_at);
create index alarm_raised on iot.alarm (raised_at);

create table iot.silence (
  id bigint generated always as identity primary key,
  rule text,                                 -- null: every rule
  num integer references twin.thing (num),   -- null: every thing …
  district text,                             -- … of this district
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  reason text not null,
  actor text not null,
  ended_by text,
  created_at timestamptz not null default now(),
  check (ends_at > starts_at)
);
create index silence_ends on iot.silence (ends_at);

-- What a thing should be and what it says it is.
create table iot.shadow (
  num integer primary key references twin.thing (num),
  reported jsonb not null default '{}',
  desired jsonb not null default '{}',
  reported_rev bigint not null default 0,
  desired_rev bigint not null default 0,
  delivered_rev bigint not null default 0,   -- the device has acknowledged this much of what is desired
  told_rev bigint not null default 0,
  told_at timestamptz,
  tries integer not null default 0,
  reported_at timestamptz,
  desired_at timestamptz
) with (fillfactor = 50);

create table iot.command (
  id uuid primary key,
  num integer not null references twin.thing (num),
  name text not null,
  args jsonb not null default '{}',
  state text not null default 'queued'
    check (state in ('queued', 'sent', 'delivered', 'done', 'failed', 'expired', 'cancelled')),
  batch uuid,
  actor text not null,
  created_at timestamptz not null default now(),
  next_at timestamptz not null default now(),
  expires_at timestamptz not null,
  attempts integer not null default 0,
  max_attempts integer not null default 5,
  sent_at timestamptz,
  delivered_at timestamptz,
  ended_at timestamptz,
  result jsonb
) with (fillfactor = 70);
create index command_open on iot.command (num, created_at) where state in ('queued', 'sent', 'delivered');
create index command_expires on iot.command (expires_at) where state in ('queued', 'sent', 'delivered');
create index command_num on iot.command (num, created_at desc);
create index command_batch on iot.command (batch) where batch is not null;

grant select on all tables in schema iot to twin_app, twin_audit;
grant insert, update, delete on iot.candidate, iot.watch, iot.alarm, iot.silence, iot.shadow, iot.command
  to twin_app;
grant select, insert on iot.candidate to twin_ingest;
grant select on iot.watch to twin_ingest;
grant select, insert, update on iot.shadow to twin_ingest;
grant select, update on iot.command to twin_ingest;
