-- Organisations, second factors, sessions that can be listed and ended, keys of partner systems.

create table twin.organisation (
  code text primary key,
  parent text references twin.organisation (code),
  type text not null check (type in ('city','unit','district','street','grid','village','contractor')),
  name jsonb not null,
  district text,                             -- code of the district it stands for
  street text,                               -- code of the street or town it stands for
  things text[] not null default '{}',       -- things (sections, grids) whose shapes are its area …
  shape geometry(MultiPolygon, 4326),        -- … together with a shape of its own
  closed boolean not null default false,
  version integer not null default 1,
  updated_at timestamptz not null default now(),
  check ((type = 'city') = (parent is null))
);
create index organisation_parent on twin.organisation (parent);

alter table twin.account
  add organisation text references twin.organisation (code),
  add password_at timestamptz not null default now(),
  add must_change boolean not null default false,
  add past_passwords text[] not null default '{}',
  add totp text,                             -- sealed secret of the second factor
  add totp_confirmed boolean not null default false,
  add totp_step bigint not null default 0,   -- last time step used: a code counts once
  add recovery text[] not null default '{}', -- digests of codes for a lost second factor
  add external text unique,                  -- issuer and subject of single sign-on
  add created_at timestamptz not null default now(),
  add last_login_at timestamptz,
  -- Over the grants of the row. One zero byte: from before this column, taken over once by set-up.
  add mac bytea not null default '\x00';
alter table twin.account alter mac drop default;

alter table twin.session
  add id uuid not null default gen_random_uuid() unique,
  add address text,
  add agent text,
  add strong_until timestamptz,              -- how long the last proof of identity holds for weighty acts
  add acts text[],                           -- a bearer token may carry fewer acts than its account
  add label text;
create index session_of_user on twin.session ("user");

create table twin.partner_key (
  id text primary key,
  digest bytea not null unique,
  name text not null,                        -- which partner system calls with it
  acts text[] not null,
  clearance smallint not null default 1 check (clearance between 1 and 4),
  kinds text[],                              -- null: every kind within its clearance
  districts text[],                          -- null: the whole city
  fields jsonb,                              -- kind → names of fields; null: all within its clearance
  addresses text[],                          -- networks that may call; null: any
  rate_per_s real not null,
  burst integer not null,
  daily_quota bigint not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  created_by text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  mac bytea not null
);
create table twin.key_use (
  key text not null references twin.partner_key (id),
  day date not null,
  calls bigint not null default 0,
  refused bigint not null default 0,
  primary key (key, day)
);

-- A sign-in that is on its way through another house: state, nonce and proof key, minutes only.
create table twin.sign_in (
  state bytea primary key,
  nonce text not null,
  verifier text not null,
  next text not null,
  expires_at timestamptz not null
);

grant select, insert, update on twin.organisation, twin.partner_key, twin.key_use to twin_app;
grant select, insert, delete on twin.sign_in to twin_app;
grant select on twin.organisation to twin_audit, twin_tiles;
grant update on twin.account, twin.session to twin_app;
create index journal_security on twin.journal (id) where class = 'security';
