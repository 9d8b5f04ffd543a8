/** The schemas that have a name in the description. One that is missing here is written out wherever it stands. */
import { CALL_CALLBACK, CALL_CALLBACK_FORM, LEG_CALLBACK } from '../../contract/schemas/callbacks.ts'
import type { NamedSchemas } from '../../contract/schemas/description.ts'
import { AUDIT_ANSWER, AUDIT_ENTRY } from '../../contract/schemas/audit.ts'
import {
  CALLBACK,
  CALLBACK_ANSWER,
  CALLBACK_LIST_ANSWER,
  NEW_SECRET_ANSWER,
  REPLAY_ANSWER,
  SECRET_ANSWER,
} from '../../contract/schemas/callback-log.ts'
import { CALL_EVENT, EAR, HEARING, HEARING_EVENT, LEG_EVENT, LIVE_LEG, MODE_EVENT, SNAPSHOT_EVENT } from '../../contract/schemas/events.ts'
import { KEY, KEY_ANSWER, KEY_LIST_ANSWER, KEY_WITH_TOKEN, KEY_WITH_TOKEN_ANSWER } from '../../contract/schemas/keys.ts'
import { ADJUSTMENT, ADJUSTMENT_ANSWER, ADJUSTMENT_LIST_ANSWER, BALANCE_ANSWER, USAGE_ANSWER } from '../../contract/schemas/ledger.ts'
import { ERROR_ANSWER } from '../../contract/schemas/errors.ts'
import {
  ACTIVE_LEG,
  ACTIVE_LEGS_ANSWER,
  ALL_LEGS_ANSWER,
  CALL,
  CALL_ANSWER,
  CALL_DETAILS,
  CALL_LIST_ANSWER,
  HANG_UP_ANSWER,
  LEG,
  LEG_ANSWER,
  LEG_RECORD,
} from '../../contract/schemas/resources.ts'

export const NAMED: NamedSchemas = {
  Call: CALL,
  CallDetails: CALL_DETAILS,
  ActiveLeg: ACTIVE_LEG,
  Leg: LEG,
  LegRecord: LEG_RECORD,
  CallAnswer: CALL_ANSWER,
  CallListAnswer: CALL_LIST_ANSWER,
  ActiveLegsAnswer: ACTIVE_LEGS_ANSWER,
  AllLegsAnswer: ALL_LEGS_ANSWER,
  LegAnswer: LEG_ANSWER,
  HangUpAnswer: HANG_UP_ANSWER,
  SnapshotEvent: SNAPSHOT_EVENT,
  CallEvent: CALL_EVENT,
  LegEvent: LEG_EVENT,
  ModeEvent: MODE_EVENT,
  HearingEvent: HEARING_EVENT,
  LiveLeg: LIVE_LEG,
  Hearing: HEARING,
  Ear: EAR,
  UsageAnswer: USAGE_ANSWER,
  BalanceAnswer: BALANCE_ANSWER,
  Adjustment: ADJUSTMENT,
  AdjustmentAnswer: ADJUSTMENT_ANSWER,
  AdjustmentListAnswer: ADJUSTMENT_LIST_ANSWER,
  AuditEntry: AUDIT_ENTRY,
  AuditAnswer: AUDIT_ANSWER,
  Callback: CALLBACK,
  CallbackAnswer: CALLBACK_ANSWER,
  CallbackListAnswer: CALLBACK_LIST_ANSWER,
  ReplayAnswer: REPLAY_ANSWER,
  SecretAnswer: SECRET_ANSWER,
  NewSecretAnswer: NEW_SECRET_ANSWER,
  Key: KEY,
  KeyWithToken: KEY_WITH_TOKEN,
  KeyAnswer: KEY_ANSWER,
  KeyWithTokenAnswer: KEY_WITH_TOKEN_ANSWER,
  KeyListAnswer: KEY_LIST_ANSWER,
  LegCallback: LEG_CALLBACK,
  CallCallback: CALL_CALLBACK,
  CallCallbackForm: CALL_CALLBACK_FORM,
  Failure: ERROR_ANSWER,
}
