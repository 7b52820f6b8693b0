-- Finding what a load changed, and fields whose type changed since a load was sealed.

create index journal_whole_load on twin.journal (((note->>'load')::bigint)) where class = 'load';
create table twin.retyped (
  kind text not null,
  field text not null,
  at timestamptz not null default now(),
  primary key (kind, field)
);
grant select on twin.retyped to twin_app, twin_tiles, twin_audit;
