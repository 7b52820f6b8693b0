-- What the MQTT door must still know after it was killed.

-- A client that asked for a session finds it again: what it subscribed to, what was sent and not acknowledged.
create table iot.session (
  name text not null,                         -- product/device
  client text not null,
  subscriptions jsonb not null default '{}',  -- filter -> QoS
  sent jsonb not null default '[]',           -- [packet identifier, downlink, topic, payload]
  number integer not null default 0,          -- the packet identifier given last
  expiry_s bigint not null,
  left_at timestamptz,                        -- null: connected
  primary key (name, client)
) with (fillfactor = 50);

-- Messages that carry no time of their own and were to be acknowledged: one that comes again after its
-- acknowledgement got lost is known by client, packet identifier and what it says.
create table iot.heard (
  num integer not null,
  client bigint not null,
  number integer not null,
  said bigint not null,
  at timestamptz not null default now(),
  primary key (num, client, number)
) with (fillfactor = 70);
create index heard_at on iot.heard using brin (at);

grant select, insert, update, delete on iot.session, iot.heard to twin_ingest;
grant select on iot.session to twin_app, twin_audit;
