/** Calls and their legs, the callback outbox, idempotency records, heartbeats and signing secrets. */
export const calls = `
create table call (
  id text primary key,
  account_id text not null,
  -- Who carries it while it is live.
  node text not null,
  direction text not null check (direction in ('inbound', 'outbound-api')),
  from_address text not null,
  to_address text not null,
  caller_id text not null,
  agent_leg_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  ring_ms integer not null,
  limit_ms integer not null,
  callback_url text,
  callback_events text[],
  callback_content_type text,
  custom_field text,
  status text not null check (status in ('live', 'ending', 'ended')),
  outcome text check ((outcome is null) = (status = 'live')),
  ended_at timestamptz check ((ended_at is not null) = (status = 'ended'))
) with (fillfactor = 80);
create index call_live on call (node, created_at) where status <> 'ended';
create index call_of_account on call (account_id, created_at, id);

create table leg (
  id text primary key,
  call_id text not null references call (id) on delete cascade,
  -- Order of creation within the call.
  position integer not null,
  address text not null,
  origin text not null check (origin in ('outbound', 'outbound-dial', 'inbound', 'monitor')),
  mode text check ((mode is not null) = (origin = 'monitor')),
  target_leg_id text check ((target_leg_id is null) = (mode is null)),
  last_action text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  status text not null check (status in ('ringing', 'answered', 'ended')),
  answered_at timestamptz,
  -- What the engine wants to be reminded of if its process dies in mid-call.
  memory text check (memory is null or status = 'answered'),
  ended_at timestamptz check ((ended_at is not null) = (status = 'ended')),
  cause text check ((cause is not null) = (status = 'ended')),
  ring_ms integer not null,
  limit_ms integer not null,
  callback_url text,
  callback_events text[],
  callback_content_type text,
  custom_field text
) with (fillfactor = 80);
create index leg_of_call on leg (call_id, position);

create table callback (
  -- The order of enqueueing; the id is the webhook-id.
  sequence bigint generated always as identity primary key,
  id text not null unique,
  account_id text not null,
  call_id text not null,
  leg_id text,
  event text not null,
  order_key text not null,
  url text not null,
  receiver text not null,
  content_type text not null,
  body text not null,
  created_at timestamptz not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'parked')),
  -- Also the fence: an attempt may only be settled by whoever made it.
  attempts integer not null default 0,
  -- Attempts before the last replay do not count for the schedule.
  attempts_before integer not null default 0,
  -- The next attempt, or the end of the lease of the present one.
  due_at timestamptz not null,
  -- The node that has an attempt under way, so that its next start need not wait for the lease.
  claimed_by text,
  last_status integer,
  last_error text,
  settled_at timestamptz check ((settled_at is null) = (state = 'pending'))
) with (fillfactor = 80);
create index callback_due on callback (receiver, due_at, sequence) where state = 'pending';
create index callback_order on callback (order_key, sequence) where state = 'pending';
create index callback_next on callback (due_at) where state = 'pending';
create index callback_parked on callback (account_id, sequence) where state = 'parked';
create index callback_claimed on callback (claimed_by) where claimed_by is not null;
create index callback_delivered on callback (settled_at) where state = 'delivered';

create table idempotency (
  account_id text not null,
  key text not null,
  fingerprint text not null,
  call_id text not null,
  leg_id text,
  answer json not null,
  created_at timestamptz not null,
  primary key (account_id, key)
);
create index idempotency_created on idempotency (created_at);

create table node (
  name text primary key,
  beat_at timestamptz not null
) with (fillfactor = 50);

create table callback_secret (
  account_id text primary key,
  secret text not null
);
`
