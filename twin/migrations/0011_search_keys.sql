-- One box finds everything: what else a thing is known by (plates, permit numbers, addresses, aliases), and
-- names by their pinyin. Both are kept by the worker, which follows the journal.

-- How a word is compared: half width, small letters, without what people leave out.
create function twin.word(said text) returns text language sql immutable strict parallel safe
return lower(regexp_replace(normalize(said, NFKC), '[\s·•.,，、_—-]+', '', 'g'));

create table twin.search_key (
  num integer not null,
  kind text not null,
  field text not null,
  word text not null,
  primary key (num, field)
);
create index search_key_word on twin.search_key (word text_pattern_ops);
create index search_key_part on twin.search_key using gin (twin.spread(word) gin_trgm_ops);
create index search_key_kind on twin.search_key (kind, field);

create table twin.name_pinyin (
  name text primary key,
  initials text not null,                    -- 复兴公园: fxgy
  spelled text not null                      -- fuxinggongyuan
);
create index name_pinyin_initials on twin.name_pinyin (initials text_pattern_ops);
create index name_pinyin_spelled on twin.name_pinyin (spelled text_pattern_ops);

-- One name in a hundred: which kinds carry a word that very many things carry.
create table twin.name_sample (kind text not null, name text not null);
create index name_sample_part on twin.name_sample using gin (twin.spread(name) gin_trgm_ops);

create index thing_called on twin.thing (name) where name <> '' and gone_at is null;

grant select on twin.search_key, twin.name_pinyin, twin.name_sample to twin_app, twin_audit;
grant insert, update, delete on twin.search_key, twin.name_pinyin, twin.name_sample to twin_app;
