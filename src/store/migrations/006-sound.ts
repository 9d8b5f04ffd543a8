/** What is heard in a call besides its parties, what is recorded of it, and how often its first party may still be rung. */
export const sound = `
alter table call
  add column wait_url text,
  add column opening_url text,
  add column opening_to text check (opening_to in ('callee', 'both')),
  add check ((opening_to is null) = (opening_url is null)),
  add column recording text check (recording in ('single', 'dual')),
  add column stage text not null default 'before' check (stage in ('before', 'opening', 'open')),
  add column recorded_from timestamptz check (recorded_from is null or recording is not null),
  add column retries_left integer not null default 0;
`
