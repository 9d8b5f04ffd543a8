/**
 * The npm package `exotel-node`, driven by a line of JSON: the name of one of its functions and the arguments. Prints what its callback got.
 *
 *   EARSHOT_PORT=… ACCOUNT=… TOKEN=… CALLER_ID=… node --import ./transport.mjs exotel-node.mjs '["connectCall","098…","098…"]'
 */
import exotel from 'exotel-node'

const { ACCOUNT, TOKEN, CALLER_ID } = process.env
const [name, ...args] = JSON.parse(process.argv[2] ?? '[]')

exotel.init(ACCOUNT, TOKEN, CALLER_ID)
exotel[name](...args, (error, answer) => console.log(JSON.stringify({ error, answer })))
