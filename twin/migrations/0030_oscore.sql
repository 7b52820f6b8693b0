-- Numbers of protected CoAP messages never come twice under one key, whatever happens to the door or the clock.
create table iot.oscore (
  one boolean primary key default true check (one),
  floor bigint not null                       -- no number below this may be used after a restart
);
grant select, insert, update on iot.oscore to twin_ingest;
