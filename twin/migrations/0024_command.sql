-- The address book and who is on duty; what a warning refers to, so that one may overtake the other.
create table twin.contact (
  id uuid primary key,
  version int not null default 1,
  name text not null check (length(name) between 1 and 60),
  post text not null default '' check (length(post) <= 80),
  unit text not null default '' check (length(unit) <= 120),   -- the name of the unit as it stands in the book
  organisation text,                                           -- its code in the tree, where it has one
  phone text not null default '' check (length(phone) <= 40),
  account text,                                                -- whose log-in this is, where there is one
  district text,
  street text,
  source text not null default 'console',
  source_id text,
  changed_at timestamptz not null default now(),
  gone_at timestamptz,
  unique (source, source_id)
);
create index contact_account on twin.contact (account) where gone_at is null;
create table twin.duty_shift (
  id bigint generated always as identity primary key,
  contact uuid not null references twin.contact (id),
  post text not null default '' check (length(post) <= 80),
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at > starts_at),
  set_by text not null,
  removed_at timestamptz
);
create index duty_shift_when on twin.duty_shift (ends_at, starts_at) where removed_at is null;
grant select, insert, update on twin.contact, twin.duty_shift to twin_app;
grant select on twin.contact, twin.duty_shift to twin_audit;
alter table twin.warning add column refers text[] not null default '{}', add column dialect text not null default 'cap';
create index warning_refers on twin.warning using gin (refers);
-- Whether a camera last gave a picture, and why not.
create table twin.camera_picture (
  num int primary key,
  ok_at timestamptz,
  failed_at timestamptz,
  why text,
  took_ms real
);
grant select, insert, update on twin.camera_picture to twin_app;
grant select on twin.camera_picture to twin_audit;
