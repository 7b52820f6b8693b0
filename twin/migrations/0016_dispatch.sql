-- Dispatch: closed roads, rosters and the state of crews, what the last round proposed; saved views; tags.

create table twin.road_closure (
  id bigint generated always as identity primary key,
  title text not null,
  geom geometry(Geometry, 4326) not null,
  starts_at timestamptz not null,
  ends_at timestamptz,                       -- null: until it is lifted
  profiles text[],                           -- null: nobody passes
  district text,
  made_by text not null,
  made_at timestamptz not null default now(),
  lifted_at timestamptz
);
create index road_closure_standing on twin.road_closure (starts_at) where lifted_at is null;

-- What the declaration of a crew cannot know: rest, range, team; one row for each crew of which somebody said so.
create table twin.crew_state (
  crew text primary key,
  team text,
  resting_until timestamptz,
  range_km real,
  off_reason text,                           -- not null: cannot be sent, for this reason
  set_by text not null,
  set_at timestamptz not null default now()
);

-- The shift of a crew on a day where it differs from its usual one; `off` is a day off.
create table twin.roster (
  crew text not null,
  day date not null,
  shift text not null,
  set_by text not null,
  primary key (crew, day)
);

-- What the last round thought of an event that waits for a crew.
create table twin.suggestion (
  case_id uuid primary key references twin."case" (id),
  at timestamptz not null,
  mode text not null check (mode in ('auto', 'suggest', 'manual')),
  picks jsonb not null,
  shortfall jsonb not null,
  fault text,
  scheduling integer not null                -- version
) with (fillfactor = 60);

create table twin.saved_view (
  id bigint generated always as identity primary key,
  owner text not null,
  page text not null,
  name text not null,
  doc jsonb not null,
  shared boolean not null default false,
  changed_at timestamptz not null default now(),
  unique (owner, page, name)
);

create index case_tags on twin."case" using gin ((data->'tags'));

grant select on twin.road_closure, twin.crew_state, twin.roster, twin.suggestion, twin.saved_view to twin_app, twin_audit;
grant insert, update on twin.road_closure, twin.crew_state, twin.roster, twin.suggestion, twin.saved_view to twin_app;
grant delete on twin.roster, twin.suggestion, twin.saved_view to twin_app;
