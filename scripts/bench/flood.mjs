// How long well-behaved clients wait while one floods the server, beside a time when none does: see README.md in this folder.

import { fileURLToPath } from 'node:url'
import { readFlags, runScript } from './bench-script.mjs'
import { ChildProcess } from './child-process.mjs'
import { startCluster, startPlain } from './contestants.mjs'
import { Probes } from './probes.mjs'
import { formatRow, median } from './report.mjs'
import { readResult, startLoad } from './scenarios.mjs'

const USAGE = `npm run bench -- flood [options]
  --clients N      how many behave well (999)
  --gateway-args=A more options of the gateway, separated by spaces
  --interval MS    each of them sends an echo so often (1000)
  --plain          measure plain ws as well
  --rate N         messages a second of the one that floods (10000)
  --rounds N       pairs of a quiet and a flooded time, each on new processes (3)
  --seconds N      how long each of the two is, after a warm-up (10)
  --size BYTES     of every message (64)
  --unlimited      measure ours without a limit on messages and bytes as well
`
const FLOOD_FILE = fileURLToPath(new URL('./flood-client.mjs', import.meta.url))
const WARM_UP_SECONDS = 2
const NO_LIMITS = ['--message-rate', '0', '--byte-rate', '0']
const HEADER = [
  '',
  'quiet p50 / p99 ms',
  'flooded p50 / p99 ms',
  'p99 flooded / quiet',
  'answered to the flood /s',
  'turned out',
  'CPU, flooded',
]

await runScript('flood', USAGE, async () => {
  const flags = readFlags({
    clients: 999,
    'gateway-args': [],
    interval: 1000,
    plain: false,
    rate: 10_000,
    rounds: 3,
    seconds: 10,
    size: 64,
    unlimited: false,
  })
  const frontArgs = flags['gateway-args']
  const sides = {
    ours: (options) => startCluster({ ...options, frontArgs }),
    ...(flags.unlimited && {
      'ours, no limits': (options) => startCluster({ ...options, frontArgs: [...NO_LIMITS, ...frontArgs] }),
    }),
    ...(flags.plain && { 'plain ws': startPlain }),
  }
  const measured = Object.fromEntries(Object.keys(sides).map((side) => [side, []]))
  for (let round = 1; round <= flags.rounds; round++) {
    for (const [side, start] of Object.entries(sides)) {
      const figures = await measurePair(start, flags, round % 2 === 0)
      measured[side].push(figures)
      process.stderr.write(`round ${round}/${flags.rounds}, ${side}: ${JSON.stringify(figures)}\n`)
    }
  }
  process.stdout.write(`${formatRow(HEADER)}\n`)
  for (const [side, rounds] of Object.entries(measured)) {
    process.stdout.write(`${formatRow([side, ...summarizePairs(rounds)])}\n`)
  }
})

function summarizePairs(rounds) {
  const of = (read) => median(rounds.map(read))
  const latencies = (key) => `${ms(of((pair) => pair[key].p50Us))} / ${ms(of((pair) => pair[key].p99Us))}`
  return [
    latencies('quiet'),
    latencies('flooded'),
    `${of(({ flooded, quiet }) => flooded.p99Us / quiet.p99Us).toFixed(2)} ×`,
    Math.round(of(({ flooded }) => flooded.answeredPerSecond)),
    of(({ flooded }) => flooded.turnedOut),
    Object.entries(rounds[0].flooded.cpu)
      .map(([name]) => `${name} ${Math.round(of(({ flooded }) => flooded.cpu[name]) * 100)} %`)
      .join(', '),
  ]
}

async function measurePair(start, flags, isFloodedFirst) {
  const probes = new Probes()
  const server = await start({ env: probes.env })
  const pair = {}
  for (const isFlooded of isFloodedFirst ? [true, false] : [false, true]) {
    pair[isFlooded ? 'flooded' : 'quiet'] = await measure(server, probes, flags, isFlooded)
  }
  await server.stop()
  probes.remove()
  return pair
}

async function measure({ pids, ports: [port] }, probes, { clients, interval, rate, seconds, size }, isFlooded) {
  const flood = { answered: 0, turnedOut: 0 }
  const flooder =
    isFlooded &&
    new ChildProcess('flood-client', [FLOOD_FILE, `--port=${port}`, `--rate=${rate}`, `--size=${size}`], {
      watch: (line) => Object.assign(flood, line),
    })
  const floodedFrom = Date.now()
  const load = startLoad({
    mode: 'paced',
    addresses: 10,
    connections: clients,
    interval,
    port,
    seconds,
    size,
    warmup: WARM_UP_SECONDS,
  })
  const { p50Us, p99Us } = await readResult(load, seconds)
  const now = Date.now()
  const cpu = Object.fromEntries(
    Object.entries(pids).map(([name, processes]) => [
      name,
      probes.between(processes, now - seconds * 1000, now).cpuShare,
    ]),
  )
  await load.stop()
  if (flooder) await flooder.stop()
  const floodedSeconds = (Date.now() - floodedFrom) / 1000
  return { p50Us, p99Us, cpu, answeredPerSecond: flood.answered / floodedSeconds, turnedOut: flood.turnedOut }
}

function ms(us) {
  return (us / 1000).toFixed(1)
}
