/** The native engine passes the suite of all engines: sounds and tapes, between phones that are alike and phones that differ. */
import { ALIKE, makeRig, MIXED } from './native-rig.test.ts'
import { engineSuite, soundTests } from './suite.ts'

engineSuite('the native engine with sounds and tapes', async () => makeRig(ALIKE), [], soundTests())
engineSuite('the native engine with sounds and tapes, between laws, transports and packet times', async () => makeRig(MIXED), [], soundTests())
