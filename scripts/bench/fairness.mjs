// How long quiet clients of a worker wait, and whether they are answered, while others send as fast as they can: see README.md in this folder.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { readFlags, runScript } from './bench-script.mjs'
import { ChildProcess } from './child-process.mjs'
import { startCluster } from './contestants.mjs'
import { formatRow } from './report.mjs'

const USAGE = `npm run bench -- fairness [options]
  --against=DIR  measure another built checkout of this repository as well
  --chatty N     how many clients send as fast as they can (12)
  --quiet N      how many ask every 100 ms and wait for answers (20)
  --seconds N    how long (15)
`
const NO_LIMITS = ['--message-rate', '0', '--byte-rate', '0']
const FLOOD_FILE = fileURLToPath(new URL('./fairness-flood.mjs', import.meta.url))
/** What handlers do with the messages of those that flood: 'slow' takes 10 ms, 'stuck' for ever. */
const LOADS = {
  'slow, tiny': ['--text=slow'],
  'stuck, tiny': ['--text=stuck'],
  'slow, 64 KiB': ['--text=slow', '--filler=65536'],
  'stuck, 64 KiB': ['--text=stuck', '--filler=65536'],
  'fast, 1 MB': ['--text=fast', '--filler=1000000'],
}
const INTERVAL_MS = 100
const FLOOD_DEADLINE_MS = 10_000
/** How long answers may still come when nothing is asked any more. */
const LAST_ANSWER_MS = 2_000

await runScript('fairness', USAGE, async () => {
  const { against, chatty, quiet, seconds } = readFlags({ against: [], chatty: 12, quiet: 20, seconds: 15 })
  const roots = { ours: undefined, ...(against.length > 0 && { before: against[0] }) }
  process.stdout.write(`${formatRow(['', 'load', 'quiet p50 / p99 ms', 'loaded p50 / p99 ms', 'answered'])}\n`)
  for (const [load, words] of Object.entries(LOADS)) {
    for (const [side, root] of Object.entries(roots)) {
      // A message of 1 MB reaches the limit of bytes, which is part of what keeps such clients from the others.
      const limits = load === 'fast, 1 MB' ? [] : NO_LIMITS
      const server = await startCluster({ events: './fairness-events.ts', frontArgs: limits, root })
      const [port] = server.ports
      const asking = await Promise.all(Array.from({ length: quiet }, () => openClient(`ws://127.0.0.1:${port}/`)))
      const before = await ask(asking, seconds * 1000)
      const flood = new ChildProcess('fairness-flood', [FLOOD_FILE, `--port=${port}`, `--clients=${chatty}`, ...words])
      await flood.line(({ msg }) => msg === 'flooding', FLOOD_DEADLINE_MS)
      const loaded = await ask(asking, seconds * 1000)
      await flood.stop()
      for (const client of asking) client.terminate()
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
