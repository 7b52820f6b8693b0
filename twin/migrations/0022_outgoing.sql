-- Reports that we hand on to partners by Open311, and secrets of those who push detections to us.

create table twin.partner (
  name text primary key,                     -- of its declaration in data/outgoing
  url text not null,
  secret text,                               -- api_key, sealed
  enabled boolean not null default true,
  seq bigint not null default 0,             -- how far its journal was read
  sent bigint not null default 0,
  fails integer not null default 0,
  last_error text,
  next_at timestamptz not null default now(),
  polled_at timestamptz,
  added_at timestamptz not null default now(),
  added_by text not null
);

-- One line for each event that a partner was, or is to be, given.
create table twin.handed (
  partner text not null references twin.partner (name),
  case_id uuid not null references twin."case" (id),
  token uuid not null unique,                -- ours: written before the first try, found there again after a crash
  state text not null default 'waiting' check (state in ('waiting', 'trying', 'sent', 'refused', 'closed')),
  remote_id text,                            -- their service_request_id
  remote_token text,                         -- their token, where they give the number later
  remote_status text,
  tries integer not null default 0,
  next_at timestamptz not null default now(),
  tried_at timestamptz,
  sent_at timestamptz,
  changed_at timestamptz,
  error text,
  primary key (partner, case_id)
);
create index handed_due on twin.handed (partner, next_at) where state in ('waiting', 'trying');
create index handed_open on twin.handed (partner, case_id) where state = 'sent';

-- The secret of a source is made from the home's key and this number; another number is another secret.
create table twin.push_secret (
  source text primary key,
  round integer not null default 1,
  set_at timestamptz not null default now(),
  set_by text not null
);

grant select, insert, update on twin.partner, twin.handed, twin.push_secret to twin_app;
grant select on twin.handed, twin.push_secret to twin_audit;
