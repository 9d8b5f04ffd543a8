/** API keys that are made while the house runs. Tokens are kept as salted scrypt alone. */
export const keys = `
create table api_key (
  -- The public half, the user of HTTP Basic.
  id text primary key,
  account_id text not null,
  name text not null,
  scopes text[] not null check (cardinality(scopes) > 0),
  -- Null: not limited to any.
  agents text[],
  -- scrypt$N=…,r=…,p=…$salt$hash
  token_hash text not null,
  -- The token before the last rotation, and how long it counts.
  previous_hash text check ((previous_hash is null) = (previous_until is null)),
  previous_until timestamptz,
  -- Raised by every change but use: whoever remembers the key compares it.
  version integer not null default 1,
  created_by text,
  created_at timestamptz not null,
  expires_at timestamptz,
  rotated_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  -- The Idempotency-Key that it was made with, and a fingerprint of that request.
  request_key text,
  request_fingerprint text check ((request_fingerprint is null) = (request_key is null)),
  unique (account_id, request_key)
) with (fillfactor = 80);
create index api_key_of_account on api_key (account_id, created_at);
`
