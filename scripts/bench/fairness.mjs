// How long quiet clients of a worker wait, and whether they are answered, while others send as fast as they can: see README.md in this folder.

import { once } from 'node:events'
import WebSocket from 'ws'
import { readFlags, runScript } from './bench-script.mjs'
import { startCluster } from './contestants.mjs'
import { formatRow } from './report.mjs'

const USAGE = `npm run bench -- fairness [options]
  --against=DIR  measure another built checkout of this repository as well
  --chatty N     how many clients send as fast as they can (12)
  --quiet N      how many ask every 100 ms and wait for answers (20)
  --seconds N    how long (15)
`
const NO_LIMITS = ['--message-rate', '0', '--byte-rate', '0']
const FILLER = 'x'.repeat(64 * 1024)
const LOADS = {
  'slow, tiny': 'slow',
  'stuck, tiny': 'stuck',
  'slow, 64 KiB': `slow ${FILLER}`,
  'stuck, 64 KiB': `stuck ${FILLER}`,
}
const INTERVAL_MS = 100
/** What is sent of one client in one go, so that the load is none on its own generator. */
const BURST = 20
const BURST_MS = 10
const MAX_BUFFERED_BYTES = 256 * 1024
/** How long answers may still come when nothing is asked any more. */
const LAST_ANSWER_MS = 2_000

await runScript('fairness', USAGE, async () => {
  const { against, chatty, quiet, seconds } = readFlags({ against: [], chatty: 12, quiet: 20, seconds: 15 })
  const roots = { ours: undefined, ...(against.length > 0 && { before: against[0] }) }
  process.stdout.write(`${formatRow(['', 'load', 'quiet p50 / p99 ms', 'loaded p50 / p99 ms', 'answered'])}\n`)
  for (const [load, message] of Object.entries(LOADS)) {
    for (const [side, root] of Object.entries(roots)) {
      const server = await startCluster({ events: './fairness-events.ts', frontArgs: NO_LIMITS, root })
      const open = () => openClient(`ws://127.0.0.1:${server.ports[0]}/`)
      const asking = await Promise.all(Array.from({ length: quiet }, open))
      const before = await ask(asking, seconds * 1000)
      const sending = await Promise.all(Array.from({ length: chatty }, open))
      const timers = sending.map((client) => setInterval(() => flood(client, message), BURST_MS))
      const loaded = await ask(asking, seconds * 1000)
      for (const timer of timers) clearInterval(timer)
      for (const client of [...asking, ...sending]) client.terminate()
      await server.stop()
      const { answered, asked } = loaded
      process.stdout.write(`${formatRow([side, load, times(before), times(loaded), `${answered} of ${asked}`])}\n`)
    }
  }
})

async function openClient(url) {
  const client = new WebSocket(url)
  client.on('error', () => {}) // it is seen in what is not answered
  await once(client, 'open')
  return client
}

function flood(client, message) {
  for (let at = 0; at < BURST && client.bufferedAmount < MAX_BUFFERED_BYTES; at += 1) client.send(message)
}

/** Every client asks again and again for a while, whether it was answered or not. */
async function ask(clients, ms) {
  const latencies = []
  let asked = 0
  const stop = performance.now() + ms
  const askOne = async (client, index) => {
    const sentAt = new Map()
    const onMessage = (data) => latencies.push(performance.now() - sentAt.get(String(data)))
    client.on('message', onMessage)
    for (let at = 0; performance.now() < stop; at += 1) {
      const question = `quiet ${index} ${at}`
      sentAt.set(question, performance.now())
      client.send(question)
      asked += 1
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS))
    }
    await new Promise((resolve) => setTimeout(resolve, LAST_ANSWER_MS))
    client.off('message', onMessage)
  }
  await Promise.all(clients.map(askOne))
  latencies.sort((one, other) => one - other)
  return { answered: latencies.length, asked, latencies }
}

function times({ latencies }) {
  const at = (share) => latencies[Math.floor(latencies.length * share)]?.toFixed(1) ?? '–'
  return `${at(0.5)} / ${at(0.99)}`
}
