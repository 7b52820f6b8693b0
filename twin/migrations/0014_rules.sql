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

-- The open case that alarms of one rule and place join.
create unique index case_alarm_group on twin."case" ((data->>'group'))
  where process = 'iot.alarm' and closed_at is null and data->>'group' is not null;
create index case_alarm on twin."case" (severity, opened_at desc) where process = 'iot.alarm' and closed_at is null;

-- How each rule fared when it was last looked at; a rule that fails is seen, never skipped in silence.
create table iot.rule_state (
  rule text primary key,
  looked_at timestamptz not null default now(),
  things integer not null default 0,
  took_ms real not null default 0,
  fault text,
  fault_at timestamptz
);
-- How often each property of each thing is reported, learned from what it did.
create table iot.cadence (
  num integer not null,
  property text not null,
  product text not null,
  period_s real not null,
  mad_s real not null,
  samples integer not null,
  learned_at timestamptz not null default now(),
  primary key (num, property)
) with (fillfactor = 50);

-- What third parties are told: a cursor in the journal for each, and the batch that is on its way.
create table iot.subscription (
  id uuid primary key,
  name text not null unique,
  kind text not null check (kind in ('webhook', 'mqtt')),
  target text not null,
  secret text,                               -- sealed
  digest text not null default 'sha256' check (digest in ('sha256', 'sm3')),
  filter jsonb not null default '{}',
  districts text[],                          -- null: the whole city; what its maker may see, at most
  clearance smallint not null default 2,
  enabled boolean not null default true,
  created_by text not null,
  created_at timestamptz not null default now(),
  seq bigint not null,                       -- taken over by the receiver up to here
  sending_to bigint,                         -- a batch on its way ends here: sent again, it is the same batch
  fails integer not null default 0,
  next_at timestamptz not null default now(),
  sent bigint not null default 0,
  sent_at timestamptz,
  last_error text
) with (fillfactor = 50);
-- How far behind each subscription was, every minute: what the prediction of its lag reads.
create table iot.lag (
  subscription uuid not null references iot.subscription (id) on delete cascade,
  at timestamptz not null default now(),
  entries bigint not null,
  oldest_s real not null,
  primary key (subscription, at)
);

-- What is expected to happen, with how sure, why, and what came of it.
create table iot.ticket (
  id uuid primary key,
  kind text not null check (kind in ('threshold', 'silence', 'northbound', 'maintenance')),
  key text not null,                         -- what it is about: one open ticket for each
  num integer references twin.thing (num),
  product text,
  property text,
  rule text,
  predicted_at timestamptz not null default now(),
  revised_at timestamptz not null default now(),
  due_from timestamptz not null,
  due_at timestamptz not null,
  due_to timestamptz not null,
  confidence real not null check (confidence between 0 and 1),
  evidence jsonb not null default '{}',
  state text not null default 'open' check (state in ('open', 'confirmed', 'averted', 'false')),
  outcome_at timestamptz,
  lead_s double precision,
  actor text,
  note text,
  district text,
  street text,
  point geometry(Point, 4326)
);
create unique index ticket_open on iot.ticket (kind, key) where state = 'open';
create index ticket_kind on iot.ticket (kind, predicted_at desc);
create index ticket_num on iot.ticket (num);
-- What happened and no ticket had said so: without it no recall could be told.
create table iot.unforeseen (
  kind text not null,
  key text not null,
  at timestamptz not null,
  primary key (kind, key, at)
);
-- When a device was last looked after, so that wear counts from there.
create table iot.maintenance (
  num integer not null references twin.thing (num),
  plan text not null,
  done_at timestamptz not null,
  reading double precision,
  actor text not null,
  note text,
  primary key (num, plan, done_at)
);

-- Updates of devices.
create table iot.ota_release (
  id uuid primary key,
  product text not null,
  version text not null,
  counter integer not null check (counter > 0),   -- only ever upwards on a device
  hardware text[] not null,
  min_from integer not null default 0,       -- devices older than this counter need a step between
  bytes bigint not null,
  sha256 text not null,
  sm3 text not null,
  note jsonb not null default '{}',
  created_by text not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  unique (product, version),
  unique (product, counter)
);
create table iot.ota_rollout (
  id uuid primary key,
  release uuid not null references iot.ota_release (id),
  state text not null check (state in ('running', 'paused', 'halted', 'done', 'cancelled')),
  stages real[] not null,                    -- cumulative shares: 0.01, 0.1, 1
  stage integer not null default 0,
  halt_above real not null,                  -- share of failed and silent among the ended of a stage
  plan jsonb not null default '{}',          -- selection, window, spans, bandwidth
  why text,
  created_by text not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
create table iot.ota_attempt (
  id uuid primary key,
  rollout uuid not null references iot.ota_rollout (id),
  num integer not null references twin.thing (num),
  stage integer not null,
  state text not null check (state in ('assigned', 'notified', 'downloading', 'downloaded', 'verified',
    'installing', 'rebooting', 'probation', 'committed', 'rolled_back', 'failed', 'expired', 'cancelled')),
  number integer not null,                   -- grows with every attempt of the device
  from_version text,
  bytes_done bigint not null default 0,
  tries integer not null default 0,
  told_at timestamptz,
  changed_at timestamptz not null default now(),
  deadline_at timestamptz,
  reason text,
  unique (rollout, num)
) with (fillfactor = 50);
create unique index ota_attempt_open on iot.ota_attempt (num)
  where state not in ('committed', 'rolled_back', 'failed', 'expired', 'cancelled');
create index ota_attempt_deadline on iot.ota_attempt (deadline_at)
  where state not in ('committed', 'rolled_back', 'failed', 'expired', 'cancelled');
create index ota_attempt_num on iot.ota_attempt (num, number desc);
-- What a device said that it runs, last.
create table iot.firmware (
  num integer primary key references twin.thing (num),
  version text not null,
  counter integer,
  hardware text,
  at timestamptz not null default now()
) with (fillfactor = 50);

do $$
declare one text;
begin
  foreach one in array array['candidate', 'watch', 'alarm', 'silence', 'shadow', 'command', 'rule_state',
    'cadence', 'subscription', 'lag', 'ticket', 'unforeseen', 'maintenance', 'ota_release', 'ota_rollout',
    'ota_attempt', 'firmware'] loop
    execute format('grant select, insert, update, delete on iot.%I to twin_app', one);
    execute format('grant select on iot.%I to twin_audit', one);
  end loop;
end $$;
revoke select on iot.subscription from twin_audit;
grant select, insert on iot.candidate to twin_ingest;
grant select on iot.watch, iot.ota_release, iot.ota_rollout to twin_ingest;
grant select, insert, update on iot.shadow, iot.firmware to twin_ingest;
grant select, update on iot.command, iot.ota_attempt to twin_ingest;
grant select on iot.alarm to twin_tiles;
