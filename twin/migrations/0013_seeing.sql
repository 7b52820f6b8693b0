-- Roll-ups of what devices measure, and traces of single messages through all hops.

create schema if not exists iot;
grant usage on schema iot to twin_app, twin_ingest, twin_tiles, twin_audit;

-- One row a thing, property and span in which something was reported; recomputed whole when a late value comes.
create table iot.minute (
  num integer not null,
  property text not null,
  at timestamptz not null,
  n integer not null,
  low double precision not null,
  mean double precision not null,
  high double precision not null,
  primary key (num, property, at)
);
create index minute_at on iot.minute using brin (at);
create table iot.hour (like iot.minute including all);

-- How far the sealed journal has been rolled up.
create table iot.rolled (
  key text primary key,
  seq bigint not null
);
insert into iot.rolled (key, seq) values ('telemetry', 0);

-- Devices whose messages are followed for a while, and the hops of each message.
create table iot.traced (
  num integer primary key references twin.thing (num),
  until timestamptz not null,
  actor text not null
);
create table iot.trace (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  num integer not null,
  trace text not null,                       -- of one message: its topic's device, moment and number
  hop text not null,                         -- access auth codec model store rule alarm push
  ms double precision not null,              -- since the message came in
  detail jsonb
);
create index trace_num on iot.trace (num, at desc);

grant select on iot.minute, iot.hour, iot.rolled, iot.traced, iot.trace to twin_app, twin_audit;
grant select on iot.minute, iot.hour to twin_tiles;
grant insert, update, delete on iot.minute, iot.hour, iot.traced to twin_app;
grant insert, update on iot.rolled to twin_app;
grant insert, delete on iot.trace to twin_app;
grant select on iot.traced to twin_ingest;
grant insert on iot.trace to twin_ingest;

-- Devices of the demo were named by kind before products were declared.
update twin.device set product = case product
    when 'gps-vehicle' then 'vehicle_terminal' when 'gps-crew' then 'crew_phone'
    when 'sensor-pm' then 'noise_dust' when 'sensor-wind' then 'weather_station'
    else replace(substr(product, 8), '-', '_') end
  where product in ('gps-vehicle', 'gps-crew') or product like 'sensor-%';
