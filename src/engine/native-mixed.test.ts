/** The native engine passes the suite of all engines, between phones that differ in law, transport and packet time. */
import { makeRig, MIXED } from './native-rig.test.ts'
import { callTests, engineSuite } from './suite.ts'

engineSuite('the native engine between laws, transports and packet times', async () => makeRig(MIXED), [], callTests())
