/**
 * Loaded before a client that knows one address only, its vendor's: whatever it sends there by HTTPS goes to EARSHOT_PORT of this
 * machine, without TLS. What is sent and how the answer is read stays the client's own.
 */
import https from 'node:https'
import { connect } from 'node:net'

const port = Number(process.env.EARSHOT_PORT)

https.Agent.prototype.createConnection = ({ host }) => {
  if (host !== 'twilix.exotel.in') throw new Error(`${host} is not the vendor's address`)
  return connect(port, '127.0.0.1')
}
