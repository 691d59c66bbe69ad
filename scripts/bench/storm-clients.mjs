// Clients that come back when they are cut off, as the code of a page does: node scripts/bench/storm-clients.mjs --port PORT
// [--clients N] [--addresses N] [--jitter MS]. Prints lines of JSON: `greeted`, the ids that workers told them in a turn of the event loop, and
// `lost`, how many connections have ended since the line before.
import { parseArgs } from 'node:util'
import { LoadConnection, sourceAddress } from './load-connection.mjs'

const CONNECTING_AT_ONCE = 128
/** Who is not let in tries again after so long, then twice as long, and so on. */
const [RETRY_MS, LONGEST_RETRY_MS] = [100, 5000]

const { values } = parseArgs({
  options: {
    addresses: { type: 'string', default: '1' },
    clients: { type: 'string', default: '1000' },
    jitter: { type: 'string', default: '0' },
    port: { type: 'string' },
  },
})
const [addresses, clientCount, jitterMs, port] = [values.addresses, values.clients, values.jitter, values.port].map(
  Number,
)
const isGreeted = new Uint8Array(clientCount)
const failures = new Uint8Array(clientCount)
/** Who waits for the first greeting of each client. */
const firstGreetings = new Map()
let greeted = []
let lost = 0
let isReporting = false

const handler = {
  onMessage({ index }, bytes, start, end) {
    isGreeted[index] = 1
    failures[index] = 0
    greeted.push(bytes.latin1Slice(start, end))
    firstGreetings.get(index)?.()
    report()
  },
  onChunkEnd() {},
  onEnd({ index }) {
    if (isGreeted[index] === 1) lost += 1
    else failures[index] += 1
    isGreeted[index] = 0
    setTimeout(connect, pauseMs(failures[index]), index)
    report()
  },
}

/** At once or within the jitter the first time, later with growing pauses that are not the same for all. */
function pauseMs(failed) {
  if (failed === 0) return Math.random() * jitterMs
  return Math.min(RETRY_MS * 2 ** (failed - 1), LONGEST_RETRY_MS) * (0.5 + Math.random())
}

function connect(index) {
  const localAddress = addresses === 1 ? undefined : sourceAddress(index, addresses)
  new LoadConnection(index, port, { handler, localAddress })
}

/** One line a turn, however many clients something happened to. */
function report() {
  if (isReporting) return
  isReporting = true
  setImmediate(() => {
    isReporting = false
    process.stdout.write(`${JSON.stringify({ msg: 'clients', atMs: Date.now(), greeted, lost })}\n`)
    greeted = []
    lost = 0
  })
}

let next = 0
async function connectSome() {
  while (next < clientCount) {
    const index = next++
    const isFirst = new Promise((resolve) => firstGreetings.set(index, resolve))
    connect(index)
    await isFirst
    firstGreetings.delete(index)
  }
}
await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, connectSome))
