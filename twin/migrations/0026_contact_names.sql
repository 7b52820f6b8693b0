-- A person of a file is looked up by unit and name: who stands in the book already is not written twice.
create index contact_name on twin.contact (unit, name) where gone_at is null;
