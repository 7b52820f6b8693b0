-- The feed between the city and its districts (市区两级回流): who takes part, what came of each thing.

create table twin.feed (
  name text primary key,                     -- of the peer, as this side calls it
  side text not null check (side in ('city', 'district')),   -- on which side the peer stands
  url text,                                  -- null: the peer comes to us, we never go to it
  kinds text[],                              -- null: all
  districts text[],                          -- what the peer shows us; null: the whole city
  clearance smallint not null default 2,
  push boolean not null default true,
  enabled boolean not null default true,
  pulled text not null default '0',          -- cursor in the peer's journal
  pushed text not null default '0',          -- cursor in ours
  at timestamptz,
  error text,
  checked_at timestamptz
);

-- Which thing here is which thing there, and the last version of it that was taken over.
create table twin.feed_item (
  peer text not null,
  key uuid not null,                         -- the id of the thing over there
  kind text not null,
  thing uuid not null,
  version integer not null,
  primary key (peer, key)
);
create index feed_item_thing on twin.feed_item (peer, thing);

create table twin.feed_refused (
  peer text not null,
  direction text not null check (direction in ('in', 'out')),
  key uuid not null,
  kind text not null,
  version integer not null,
  code text not null,
  why text not null,
  at timestamptz not null default now(),
  primary key (peer, direction, key)
);

create table twin.reconciliation (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  peer text not null,
  kind text not null,
  district text not null,
  ours integer not null,
  theirs integer not null,
  equal boolean not null,
  differences jsonb not null default '[]'
);
create index reconciliation_at on twin.reconciliation (peer, at);

grant select, insert, update, delete on twin.feed, twin.feed_item, twin.feed_refused to twin_app;
grant select, insert, delete on twin.reconciliation to twin_app;
