// What a push to one uid costs with more and more gateways: see README.md in this folder. Linux only.
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readFlags, runScript } from './bench-script.mjs'
import { ChildProcess, cpuTimeUs } from './child-process.mjs'
import { startCluster } from './contestants.mjs'
import { LoadConnection } from './load-connection.mjs'
import { formatRow } from './report.mjs'

const USAGE = `npm run bench -- uid [options]
  --per-turn N   pushes in one turn of the event loop (100)
  --rounds N     measurements of each kind; the rows have the best figures: other programs only make them worse (3)
  --seconds N    how long one takes (3)
`
const GATEWAYS = [1, 2, 4, 8]
/** So many that no two pushes on their way together are to the same: what a gateway saves there is not what is measured. */
const CLIENTS = 2048
/** What processes use when nothing happens is none of a push's business; for so long nothing happens. */
const IDLE_MS = 1_000
const READY_DEADLINE_MS = 20_000
const PUSHER = fileURLToPath(new URL('./uid-pusher.mjs', import.meta.url))

await runScript('uid', USAGE, async () => {
  const { 'per-turn': perTurn, rounds, seconds } = readFlags({ 'per-turn': 100, rounds: 3, seconds: 3 })
  /** Gateways and way → the figures of each round. */
  const measured = new Map()
  for (let round = 1; round <= rounds; round += 1) {
    for (const gateways of GATEWAYS) {
      for (const way of round % 2 === 1 ? ['index', 'all'] : ['all', 'index']) {
        const key = `${gateways} gateways, ${way}`
        const figures = await measure({ gateways, perTurn, seconds, way })
        measured.set(key, [...(measured.get(key) ?? []), figures])
        process.stderr.write(`round ${round}/${rounds}, ${key}: ${JSON.stringify(figures)}\n`)
      }
    }
  }
  process.stdout.write(`${formatRow(['gateways', 'µs: index', 'all gateways', 'pushes/s: index', 'all gateways'])}\n`)
  for (const gateways of GATEWAYS) {
    const figuresOf = (way, name) => measured.get(`${gateways} gateways, ${way}`).map((figures) => figures[name])
    const micros = ['index', 'all'].map((way) => Math.min(...figuresOf(way, 'cpuUs')).toFixed(1))
    const rates = ['index', 'all'].map((way) => Math.round(Math.max(...figuresOf(way, 'pushesPerSecond'))))
    process.stdout.write(`${formatRow([gateways, ...micros, ...rates])}\n`)
  }
})

/** Pushes a second, and the CPU time of one in the gateways and the pusher together. */
async function measure({ gateways, perTurn, seconds, way }) {
  const cluster = await startCluster({ fronts: gateways })
  const handler = { onChunkEnd: () => {}, onEnd: () => {}, onMessage: () => {} }
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new LoadConnection(index, cluster.ports[0], { handler }),
  )
  await Promise.all(clients.map(({ opened }) => opened))
  const usedUs = () => cluster.frontPids.reduce((sum, pid) => sum + cpuTimeUs(pid), 0)
  const beforeIdle = usedUs()
  await delay(IDLE_MS)
  const idleShare = (usedUs() - beforeIdle) / 1000 / IDLE_MS
  const pusher = new ChildProcess('pusher', [PUSHER, cluster.registerAddress, way, String(perTurn), String(seconds)])
  await pusher.line(({ msg }) => msg === 'begin', READY_DEADLINE_MS)
  const before = usedUs()
  const { cpuUs, frames, pushes, tookMs } = await pusher.line(({ msg }) => msg === 'end', READY_DEADLINE_MS)
  const gatewaysUs = usedUs() - before - idleShare * tookMs * 1000
  await pusher.stop()
  await cluster.stop()
  return {
    cpuUs: (gatewaysUs + cpuUs) / pushes,
    frames: frames / pushes,
    idleShare,
    pushesPerSecond: (pushes / tookMs) * 1000,
  }
}
