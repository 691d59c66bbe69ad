// One client that sends far too much: node scripts/bench/flood-client.mjs --port PORT [--rate MESSAGES_A_SECOND] [--size BYTES]. It reads
// the answers and throws them away, and comes back whenever it is turned out. SIGTERM ends it with a line of JSON.
import { parseArgs } from 'node:util'
import { LoadConnection } from './load-connection.mjs'
import { NumberedMessage } from './load-frame.mjs'

const TICK_MS = 10
const COME_BACK_MS = 100
/** A connection that takes no more is not pushed further, or the flood would be memory of its own. */
const WAITING_BYTES = 1_000_000

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    rate: { type: 'string', default: '10000' },
    size: { type: 'string', default: '64' },
  },
})
const message = new NumberedMessage({ type: 'echo' }, Number(values.size))
const counts = { sent: 0, heldBack: 0, answered: 0, turnedOut: 0 }
let isOpen = false
/** @type {LoadConnection} */
let connection
let dueAt = performance.now()

const handler = {
  onMessage() {
    counts.answered += 1
  },
  onChunkEnd() {},
  onEnd() {
    counts.turnedOut += 1
    isOpen = false
    setTimeout(connect, COME_BACK_MS)
  },
}

function connect() {
  connection = new LoadConnection(0, Number(values.port), { handler })
  connection.opened.then(() => {
    isOpen = true
    dueAt = performance.now()
  })
}

function flood() {
  const count = Math.floor(((performance.now() - dueAt) * Number(values.rate)) / 1000)
  if (!isOpen || count === 0) return
  dueAt += (count * 1000) / Number(values.rate)
  if (connection.waitingBytes > WAITING_BYTES) counts.heldBack += count
  else {
    counts.sent += count
    connection.write(message.encodeFrames(0, 0, count))
  }
}

process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ msg: 'flooded', ...counts })}\n`)
  process.exit(0)
})
connect()
setInterval(flood, TICK_MS)
