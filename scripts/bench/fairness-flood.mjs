// Clients that send as fast as they can: node scripts/bench/fairness-flood.mjs --port PORT --clients N --text TEXT [--filler BYTES]. SIGTERM ends it.
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import WebSocket from 'ws'

/** What is sent of one client in one go, so that the load is none on its own generator. */
const BURST = 20
const BURST_MS = 10
const MAX_BUFFERED_BYTES = 256 * 1024

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '12' },
    filler: { type: 'string', default: '0' },
    port: { type: 'string' },
    text: { type: 'string', default: 'fast' },
  },
})
const message = `${values.text} ${'x'.repeat(Number(values.filler))}`

async function open() {
  const client = new WebSocket(`ws://127.0.0.1:${values.port}/`)
  client.on('error', () => {}) // it is seen in what is not answered
  await once(client, 'open')
  return client
}

process.on('SIGTERM', () => process.exit(0))
const clients = await Promise.all(Array.from({ length: Number(values.clients) }, open))
setInterval(() => {
  for (const client of clients) {
    for (let at = 0; at < BURST && client.bufferedAmount < MAX_BUFFERED_BYTES; at += 1) client.send(message)
  }
}, BURST_MS)
process.stdout.write('{"msg":"flooding"}\n')
