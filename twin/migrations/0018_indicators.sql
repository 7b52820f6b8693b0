-- Indicators by day and street: numerator and denominator, so that places and days add up.
create table twin.indicator_cell (
  indicator text not null,                   -- set.name
  day date not null,
  district text not null,                    -- '' : outside every district, or of no place
  street text not null,
  num double precision not null,
  den double precision not null,
  computed_at timestamptz not null default now(),
  primary key (indicator, day, district, street)
);
create index indicator_cell_day on twin.indicator_cell (day);

-- What the journal has changed and nobody has counted again yet; day null: every day there is.
create table twin.indicator_dirty (
  indicator text not null,
  day date,
  since timestamptz not null default now(),
  unique nulls not distinct (indicator, day)
);

grant select on twin.indicator_cell, twin.indicator_dirty to twin_app, twin_tiles, twin_audit;
grant insert, update, delete on twin.indicator_cell, twin.indicator_dirty to twin_app;
