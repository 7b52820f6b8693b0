-- Entries and cases are a little too large for a row: LZ4 packs them in a fifth of the time of pglz.
-- A server built without it keeps what it has.
do $$
begin
  alter table twin.journal alter column before set compression lz4, alter column after set compression lz4,
    alter column note set compression lz4;
  alter table twin."case" alter column data set compression lz4;
exception when feature_not_supported then
  raise notice 'this server has no LZ4';
end $$;
