/** The schemas that have a name in the description. One that is missing here is written out wherever it stands. */
import { CALL_CALLBACK, CALL_CALLBACK_FORM, LEG_CALLBACK } from '../../contract/schemas/callbacks.ts'
import type { NamedSchemas } from '../../contract/schemas/description.ts'
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
  LegCallback: LEG_CALLBACK,
  CallCallback: CALL_CALLBACK,
  CallCallbackForm: CALL_CALLBACK_FORM,
  Failure: ERROR_ANSWER,
}
