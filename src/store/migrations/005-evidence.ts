/** The audit log: a chain of entries per account, which nobody can change unseen, and what calls and legs remember for it. */
export const evidence = `
alter table call add column tones jsonb;
-- When the numbers and names were deleted.
alter table call add column purged_at timestamptz;
create index call_to_purge on call (account_id, ended_at) where status = 'ended' and purged_at is null;
alter table leg add column mode_by text;
alter table leg add column mode_reason text;
alter table leg add column mode_since timestamptz;

create table evidence_head (
  account_id text primary key,
  sequence bigint not null,
  -- Of that entry, as it has them.
  previous text not null,
  hash text not null
) with (fillfactor = 50);

create table evidence (
  account_id text not null,
  -- From 1, without gaps; given by the trigger.
  sequence bigint not null,
  -- Who writes an entry twice, since he does not know whether the first time worked, gets one.
  id text not null,
  kind text not null,
  recorded_at timestamptz(3) not null,
  -- JSON, as text: what is hashed must stay byte for byte.
  body text not null,
  -- Numbers and names, JSON. Deleted by a purge, together with the salt, without which the commitment tells nothing.
  personal text,
  salt text check ((salt is null) = (personal is null)),
  commitment text not null,
  previous text not null,
  hash text not null,
  -- To be found by; the same as in body and personal part, which verify compares.
  call_id text,
  mode text,
  supervisor text check (supervisor is null or personal is not null),
  primary key (account_id, sequence)
);
create unique index evidence_id on evidence (id);
create index evidence_of_call on evidence (call_id, sequence) where call_id is not null;
create index evidence_of_supervisor on evidence (account_id, supervisor, sequence) where supervisor is not null;
create index evidence_recorded on evidence (account_id, recorded_at, sequence);
create index evidence_personal on evidence (account_id, recorded_at) where personal is not null;

create function evidence_hash(text) returns text language sql immutable as
  $$ select encode(sha256(convert_to($1, 'UTF8')), 'hex') $$;

-- The lock on the head makes writers of one account queue up until the one before has committed, on whatever node they are. Who writes an
-- entry again while the first time is still under way waits as well, and fails by the unique index.
-- Its plans are made once for a session, perhaps while the table is empty: then a sequential scan seems right, and would stay.
create function evidence_link() returns trigger language plpgsql set enable_seqscan = off as $$
begin
  if exists (select from evidence where id = new.id) then return null; end if;
  new.commitment := case when new.personal is null then '' else evidence_hash(new.salt || E'\\n' || new.personal) end;
  loop
    update evidence_head set sequence = sequence + 1, previous = hash,
      hash = evidence_hash(concat_ws(E'\\n', hash, new.account_id, sequence + 1, new.id, new.kind,
        round(extract(epoch from new.recorded_at) * 1000)::bigint, new.commitment, new.body))
      where account_id = new.account_id returning sequence, previous, hash into new.sequence, new.previous, new.hash;
    exit when found;
    insert into evidence_head (account_id, sequence, previous, hash) values (new.account_id, 0, '', repeat('0', 64)) on conflict do nothing;
  end loop;
  return new;
end $$;
-- Who restores a backup puts entries back as they were, each with its hash: set local earshot.restoring = 'on'. What he puts is verified like any other.
create trigger evidence_link before insert on evidence for each row
  when (current_setting('earshot.restoring', true) is distinct from 'on') execute function evidence_link();

create function evidence_stays() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.personal is null and new.salt is null and new.supervisor is null
      and new.call_id is not distinct from old.call_id and new.mode is not distinct from old.mode
      and (new.account_id, new.sequence, new.id, new.kind, new.recorded_at, new.body, new.commitment, new.previous, new.hash)
        = (old.account_id, old.sequence, old.id, old.kind, old.recorded_at, old.body, old.commitment, old.previous, old.hash)
    then return new; end if;
  end if;
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger evidence_stays before update or delete on evidence for each row execute function evidence_stays();
create trigger evidence_remains before truncate on evidence for each statement execute function evidence_stays();
`
