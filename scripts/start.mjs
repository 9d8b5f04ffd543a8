/** `npm start`: installs what is missing, then shows the product. Arguments go to `earshot demo`, e.g. `npm start -- --once`. */
import { join } from 'node:path'
import { root, shadow } from '../bin/launch.mjs'
import { installPackages } from './install.mjs'

shadow(installPackages(), [join(root, 'bin', 'earshot.mjs'), 'demo', ...process.argv.slice(2)])
