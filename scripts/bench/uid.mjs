// What a push to one uid costs with more and more gateways: see README.md in this folder. Linux only.
import { fileURLToPath } from 'node:url'
import { readFlags, runScript } from './bench-script.mjs'
import { ChildProcess, cpuTimeUs } from './child-process.mjs'
import { startCluster } from './contestants.mjs'
import { LoadConnection } from './load-connection.mjs'
import { formatRow, median } from './report.mjs'

const USAGE = `npm run bench -- uid [options]
  --rounds N    measurements of each kind; the rows have their medians (3)
  --seconds N   how long one takes (3)
`
const GATEWAYS = [1, 2, 4, 8]
const PUSHES_PER_TURN = [10, 100]
const CLIENTS = 256
const READY_DEADLINE_MS = 20_000
const PUSHER = fileURLToPath(new URL('./uid-pusher.mjs', import.meta.url))

await runScript('uid', USAGE, async () => {
  const { rounds, seconds } = readFlags({ rounds: 3, seconds: 3 })
  /** What is measured → the figures of each round. */
  const measured = new Map()
  for (let round = 1; round <= rounds; round += 1) {
    for (const perTurn of PUSHES_PER_TURN) {
      for (const gateways of GATEWAYS) {
        for (const way of round % 2 === 1 ? ['index', 'all'] : ['all', 'index']) {
          const key = `${perTurn} a turn, ${gateways} gateways, ${way}`
          const figures = await measure({ gateways, perTurn, seconds, way })
          measured.set(key, [...(measured.get(key) ?? []), figures])
          process.stderr.write(`round ${round}/${rounds}, ${key}: ${JSON.stringify(figures)}\n`)
        }
      }
    }
  }
  const head = ['pushes a turn', 'gateways', 'µs: index', 'all gateways', 'pushes/s: index', 'all gateways']
  process.stdout.write(`${formatRow(head)}\n`)
  for (const perTurn of PUSHES_PER_TURN) {
    for (const gateways of GATEWAYS) {
      const cells = ['cpuUs', 'pushesPerSecond'].flatMap((figure) =>
        ['index', 'all'].map((way) => {
          const figures = measured.get(`${perTurn} a turn, ${gateways} gateways, ${way}`)
          return median(figures.map((each) => each[figure])).toFixed(figure === 'cpuUs' ? 1 : 0)
        }),
      )
      process.stdout.write(`${formatRow([perTurn, gateways, ...cells])}\n`)
    }
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
  const pusher = new ChildProcess('pusher', [PUSHER, cluster.registerAddress, way, String(perTurn), String(seconds)])
  const usedUs = () => cluster.frontPids.reduce((sum, pid) => sum + cpuTimeUs(pid), 0)
  await pusher.line(({ msg }) => msg === 'begin', READY_DEADLINE_MS)
  const before = usedUs()
  const { cpuUs, pushes, tookMs } = await pusher.line(({ msg }) => msg === 'end', READY_DEADLINE_MS)
  const gatewaysUs = usedUs() - before
  await pusher.stop()
  await cluster.stop()
  return { cpuUs: (gatewaysUs + cpuUs) / pushes, pushesPerSecond: (pushes / tookMs) * 1000 }
}
