-- How the columns of a source were mapped the last time that a person confirmed it.
create table twin.source_mapping (
    source text not null,
    kind text not null,
    mapping jsonb not null,
    options jsonb not null default '{}',
    actor text not null,
    updated_at timestamptz not null default now(),
    primary key (source, kind)
);

grant select, insert, update, delete on twin.source_mapping to twin_app;
