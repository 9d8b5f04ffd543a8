/** What legs cost, and what accounts have. Amounts are exact decimals; charges and changes of a balance are only ever added. */
export const ledger = `
alter table call add column end_reason text;

-- What a leg costs, as the plan said when it was answered; null without a plan. The price is the text that records show.
alter table leg add column rate_currency text;
alter table leg add column rate_pulse_s integer check ((rate_pulse_s is null) = (rate_currency is null));
alter table leg add column rate_price text check ((rate_price is null) = (rate_currency is null));

create table charge (
  -- One for each leg that was answered and has ended, whatever happens.
  leg_id text primary key,
  call_id text not null,
  account_id text not null,
  origin text not null check (origin in ('outbound', 'outbound-dial', 'inbound', 'monitor')),
  -- By the clocks of the account, when the leg ended.
  day date not null,
  ended_at timestamptz not null,
  seconds integer not null check (seconds >= 0),
  pulses integer not null check (pulses >= 0),
  -- Null without a plan: then nothing is owed.
  currency text,
  price numeric(21, 6) not null check (price >= 0),
  amount numeric(21, 6) not null check (amount = pulses * price)
);
create index charge_of_account on charge (account_id, day);
create index charge_of_call on charge (call_id);

create table balance (
  account_id text not null,
  currency text not null,
  paid_in numeric(24, 6) not null default 0,
  charged numeric(24, 6) not null default 0,
  primary key (account_id, currency)
) with (fillfactor = 50);

create table balance_change (
  sequence bigint generated always as identity primary key,
  id text not null unique,
  account_id text not null,
  currency text not null,
  amount numeric(21, 6) not null check (amount <> 0),
  note text not null,
  made_by text not null,
  created_at timestamptz not null,
  -- Of the request that made it: the same again changes nothing.
  idempotency_key text,
  fingerprint text check ((fingerprint is null) = (idempotency_key is null)),
  unique (account_id, idempotency_key)
);
create index balance_change_of_account on balance_change (account_id, sequence);

create or replace function refuse_rewriting() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are never changed nor taken away', tg_table_name;
end $$;
create trigger charge_stays before update or delete on charge for each statement execute function refuse_rewriting();
create trigger balance_change_stays before update or delete on balance_change for each statement execute function refuse_rewriting();
`
