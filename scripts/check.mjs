/** `npm run check`: types, lint and the tidy test, without the other tests. */
import { join } from 'node:path'
import { root, shadow } from '../bin/launch.mjs'
import { installPackages } from './install.mjs'

shadow(installPackages(), [join(root, 'scripts', 'run-tests.mjs'), '--check', 'test/tidy.test.ts'])
