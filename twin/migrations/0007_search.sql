-- Names are searched by any part of two characters and more, which is what Chinese names need: an index of
-- three-character pieces finds them when every character stands twice ('外滩' is '外外滩滩').
create function twin.spread(said text) returns text language sql immutable strict parallel safe
return regexp_replace(lower(said), '(.)', '\1\1', 'g');
drop index twin.thing_name;
create index thing_name on twin.thing using gin (twin.spread(name) gin_trgm_ops) where name <> '';
