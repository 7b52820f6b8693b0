-- The engine keeps what a deadline is made of, so that a pause, an extension or a new calendar can be reckoned exactly.

alter table twin."case"
  add column paused_state text,                -- the state whose clock stands still while the case waits elsewhere
  add column clock text,                       -- wall | work | workday: of the state entered last that has a deadline
  add column clock_from timestamptz,           -- the clock has run since then …
  add column clock_s integer,                  -- … with this much in all, extensions included …
  add column used_s integer not null default 0, -- … of which this much was used before
  add column next_at timestamptz;              -- when the next escalation is due

update twin."case" set clock = 'wall', clock_from = entered_at,
  clock_s = extract(epoch from due_at - entered_at)::int,
  next_at = case when escalated < 0.5 then warn_at when escalated < 1 then due_at
                 when escalated < 1.5 then entered_at + 1.5 * (due_at - entered_at) end
  where closed_at is null and due_at is not null;

-- The sweep reads what is due and nothing else.
create index case_next on twin."case" (next_at) where closed_at is null and next_at is not null;
create index case_parent on twin."case" (parent) where parent is not null;
drop index twin.case_due;

-- Candidates for duplicates: open reports near a point and a moment.
create index case_recent on twin."case" using gist (point, opened_at) where process = 'event.city';

-- Working days are a declaration now (data/calendars), versioned like every other policy.
drop table twin.calendar_day;
