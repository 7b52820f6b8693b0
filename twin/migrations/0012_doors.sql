-- Device doors: who a device is, what it sent, and what became of every record of it.

create schema if not exists iot;
grant usage on schema iot to twin_app, twin_ingest, twin_tiles, twin_audit;

alter table twin.device
  add secret_sealed text,                     -- SM4-GCM under this home's key, bound to product/device
  add state text not null default 'registered' check (state in ('registered', 'active', 'revoked')),
  add certificate bytea,                      -- SHA-256 of the client certificate it must show
  add token_sealed text,                      -- of dynamic registration without a list of names
  add client text,                            -- the client identifier that goes with the token
  add online boolean not null default false,
  add seen_at timestamptz,
  add address text,
  add firmware text,
  add labels jsonb not null default '{}',
  add created_at timestamptz not null default now();

-- One secret per product: what a device uses once, to be given its own.
create table iot.product_secret (
  product text primary key,
  secret_sealed text not null,
  enabled boolean not null default true,      -- dynamic registration is open
  listed boolean not null default true,       -- only names that were entered beforehand
  made_at timestamptz not null default now()
);

-- Doors hear of every change of identity at once; what a door itself notes about presence is none.
create function iot.device_changed() returns trigger language plpgsql as $$
declare found record;
begin
  found := coalesce(new, old);
  perform pg_notify('twin_device', found.product || '/' || found.device);
  return null;
end $$;
create trigger device_changed after insert or delete
  or update of product, device, num, enabled, secret_sealed, state, certificate, token_sealed on twin.device
  for each row execute function iot.device_changed();

-- accepted = stored + rejected + duplicate, record for record, in the transaction of the record.
create table iot.ledger (
  num integer not null,                       -- 0: nobody that is known
  hour timestamptz not null,
  accepted bigint not null default 0,
  stored bigint not null default 0,
  rejected bigint not null default 0,
  duplicate bigint not null default 0,
  primary key (num, hour),
  check (accepted = stored + rejected + duplicate)
) with (fillfactor = 50);
create index ledger_hour on iot.ledger (hour);

create table iot.reject (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  num integer not null default 0,
  door text not null,
  topic text not null,
  reason text not null,
  records integer not null default 1,
  raw bytea
);
create index reject_num on iot.reject (num, at);
create index reject_at on iot.reject using brin (at);

-- Highest counter of signed CoAP messages: one that was heard is not heard again.
create table iot.counter (num integer primary key, counter bigint not null) with (fillfactor = 50);

create function iot.ensure_day(product text, day date) returns void
language plpgsql security definer set search_path = iot, pg_temp as $$
declare
  parent text := 'up_' || product;
  part text := format('up_%s_%s', product, to_char(day, 'YYYYMMDD'));
begin
  if product !~ '^[a-z][a-z0-9_]{1,39}$' or to_regclass('iot.' || parent) is null then
    raise exception 'no such product %', product;
  end if;
  if to_regclass('iot.' || part) is not null then return; end if;
  perform pg_advisory_xact_lock(7002);
  if to_regclass('iot.' || part) is not null then return; end if;
  execute format('create table iot.%I partition of iot.%I for values from (%L) to (%L)',
                 part, parent, day::timestamptz, (day + 1)::timestamptz);
  execute format('grant select on iot.%I to twin_app, twin_tiles, twin_audit', part);
  execute format('grant select, insert on iot.%I to twin_ingest', part);
end $$;
revoke execute on function iot.ensure_day(text, date) from public;
grant execute on function iot.ensure_day(text, date) to twin_app, twin_ingest;

grant select on iot.product_secret, iot.ledger, iot.reject, iot.counter to twin_app;
grant select on iot.ledger, iot.reject to twin_audit;
grant insert, update on iot.product_secret to twin_app;
grant select, insert, update on iot.ledger, iot.counter to twin_ingest;
grant select, insert on iot.reject to twin_ingest;
grant select on iot.product_secret, twin.declaration to twin_ingest;
-- A door notes presence and, at dynamic registration, the secret that the device is given.
grant update on twin.device to twin_ingest;
