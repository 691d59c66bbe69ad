// Breaks the processes of a running cluster at random while numbered messages pass through it, and counts what came of
// them: see README.md in this folder.
import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { ChaosClient } from './chaos-client.mjs'
import { ChaosMonkey } from './chaos-monkey.mjs'
import { readOptions, usage } from './chaos-options.mjs'
import { formatVerdict, judgeConnections, judgeLedger, readLedger } from './chaos-verdict.mjs'
import { childrenOf, residentBytes } from './child-process.mjs'

/** How long to wait for the next answer, when nothing is broken any more, before what is not answered counts as lost. */
const ANSWER_PATIENCE_MS = 15_000
/** The same for an onClose: workers may wait 30 s for a gateway to come back before they close its clients. */
const CLOSE_PATIENCE_MS = 40_000
const MEMORY_EVERY_MS = 60_000

process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

try {
  const options = readOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(`${usage}\n`)
  else await run(options)
  process.exit()
} catch (error) {
  process.stderr.write(`chaos: ${error.message}\n`)
  process.exit(1)
}

async function run(options) {
  const {
    clients: clientCount,
    gateways,
    hangsUp,
    hasPauses,
    json,
    ledger,
    rate,
    registers,
    seconds,
    seed,
    workers,
  } = options
  const ledgerStart = statSync(ledger).size
  const everyMs = (clientCount / rate) * 1000
  const clients = Array.from(
    { length: clientCount },
    (_, index) => new ChaosClient(gateways[index % gateways.length], everyMs, hangsUp),
  )
  const isServed = () => clients.every((client) => client.isServed)
  const heard = () => clients.reduce((sum, client) => sum + client.heard, 0)
  const isReady = await until(isServed, heard, ANSWER_PATIENCE_MS)
  if (!isReady) throw new Error('not every client is served; nothing was broken.')

  const monkey = new ChaosMonkey({ gateways, hasPauses, isServed, registers, seed, workers })
  process.on('exit', () => monkey.release())
  const masters = { gateways: gateways.map(({ master }) => master), workers: workers.map(({ master }) => master) }
  const watch = setInterval(() => reportMemory(masters), MEMORY_EVERY_MS)
  await monkey.run(seconds * 1000)
  clearInterval(watch)

  for (const client of clients) client.silence()
  await until(() => clients.every(({ isAnswered }) => isAnswered), heard, ANSWER_PATIENCE_MS)
  const connections = clients.flatMap((client) => client.connections)
  const messages = judgeConnections(connections)
  for (const client of clients) client.close()
  const judge = () => judgeLedger(readLedger(ledger, ledgerStart), connections)
  await until(
    () => judge().ghosts === 0,
    () => statSync(ledger).size,
    CLOSE_PATIENCE_MS,
  )

  const verdict = { seed, deeds: monkey.deeds, ...messages, ...judge() }
  process.stdout.write(json ? `${JSON.stringify(verdict)}\n` : formatVerdict(verdict))
}

/** Resolves with true when the condition holds, or with false when `progress` has stood still for too long before. */
async function until(condition, progress, patienceMs) {
  let latest = progress()
  let deadline = performance.now() + patienceMs
  while (!condition()) {
    if (performance.now() > deadline) return false
    await delay(200)
    if (progress() === latest) continue
    latest = progress()
    deadline = performance.now() + patienceMs
  }
  return true
}

/** One line with the resident memory of each process. */
async function reportMemory(masters) {
  const groups = await Promise.all(
    Object.entries(masters).map(async ([name, pids]) => {
      const children = (await Promise.all(pids.map((pid) => childrenOf(pid)))).flat()
      return `${name} ${children.map(megabytes).join(' ')} (masters ${pids.map(megabytes).join(' ')})`
    }),
  )
  process.stderr.write(`${new Date().toISOString()} resident MB: ${groups.join(', ')}\n`)
}

function megabytes(pid) {
  try {
    return (residentBytes(pid) / 1024 / 1024).toFixed(0)
  } catch {
    return '-' // just killed
  }
}
