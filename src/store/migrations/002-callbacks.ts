/** Callbacks that can be looked at by account and call, receivers that are paused, and secrets that are changed without a gap. */
export const callbacks = `
-- Claims of a node are asked for at its start alone, among what is pending; the index cost every claim and every settlement a write.
drop index callback_claimed;
create index callback_of_account on callback (account_id, sequence);
create index callback_of_call on callback (call_id, sequence);

create table callback_pause (
  node text not null,
  receiver text not null,
  since timestamptz not null,
  until timestamptz not null,
  probes integer not null,
  last_error text not null,
  primary key (node, receiver)
);

alter table callback_secret
  -- Unknown of those that were made before this step.
  add column made_at timestamptz,
  -- What it was before the last rotation; signs as well until then.
  add column previous text,
  add column previous_until timestamptz,
  add check ((previous is null) = (previous_until is null));
`
