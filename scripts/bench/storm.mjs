// What happens when a gateway is killed and all of its clients come back at once: see README.md in this folder.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GatewayClient } from '@gatewayworker/gateway-client'
import { checkOpenFiles, readFlags, runScript } from './bench-script.mjs'
import { ChildProcess } from './child-process.mjs'
import { startCluster } from './contestants.mjs'
import { Probes } from './probes.mjs'
import { formatRow, median } from './report.mjs'
import { StormProgress } from './storm-progress.mjs'

const USAGE = `npm run bench -- storm [options]
  --addresses N      from how many addresses of 127.0.0.0/8 clients come (50)
  --clients N        how many there are in all, evenly on the gateway processes (20000)
  --gateway-args=A   more options of the gateways, separated by spaces
  --gateways N       gateway processes (2)
  --jitter MS        a client that is cut off waits up to so long (0)
  --kill N           how many gateway processes are killed with -9, at once (1)
  --no-backend       nobody binds the clients that come back
  --node-args=ARGS   what Node is told in the gateway processes
  --rounds N         storms, each on new processes; the row has their medians (3)
`
const CLIENTS_FILE = fileURLToPath(new URL('./storm-clients.mjs', import.meta.url))
/** How many the generator has in one process. */
const CLIENTS_A_PROCESS = 10_000
const CALM_MS = 2000
const HEADER = [
  'clients',
  'cut off',
  'jitter',
  'half back',
  '99 % back',
  'all back',
  '99 % bound',
  ...['gateways', 'their master', 'worker', 'backend'].map((name) => `${name}: CPU, lag p99 / max`),
]

await runScript('storm', USAGE, async () => {
  const flags = readFlags({
    addresses: 50,
    clients: 20_000,
    'gateway-args': [],
    gateways: 2,
    jitter: 0,
    kill: 1,
    'no-backend': false,
    'node-args': [],
    rounds: 3,
  })
  checkOpenFiles(flags.clients / flags.gateways)
  const rounds = []
  for (let round = 1; round <= flags.rounds; round++) {
    const figures = await measureStorm(flags)
    rounds.push(figures)
    process.stderr.write(`round ${round}/${flags.rounds}: ${JSON.stringify(figures)}\n`)
  }
  const of = (read) => median(rounds.map(read))
  const seconds = (key) => `${(of((figures) => figures[key]) / 1000).toFixed(2)} s`
  const load = (name) => {
    const ofUsage = (key) => Math.round(of(({ usage }) => usage[name][key] * (key === 'cpuShare' ? 100 : 1)))
    return `${ofUsage('cpuShare')} %, ${ofUsage('lagP99Ms')} / ${ofUsage('lagMaxMs')} ms`
  }
  const row = [
    flags.clients,
    of(({ lost }) => lost),
    `${flags.jitter} ms`,
    ...['halfBackMs', 'mostBackMs', 'allBackMs', 'mostBoundMs'].map(seconds),
    ...['gateway', 'gateway master', 'worker', 'backend'].map(load),
  ]
  process.stdout.write(`${formatRow(HEADER)}\n${formatRow(row)}\n`)
})

async function measureStorm({ addresses, clients, gateways, jitter, kill, ...flags }) {
  const probes = new Probes()
  const cluster = await startCluster({
    env: probes.env,
    events: './storm-events.ts',
    frontArgs: flags['gateway-args'],
    frontNodeArgs: flags['node-args'],
    fronts: gateways,
  })
  const backend = new GatewayClient({ registerAddress: cluster.registerAddress })
  const progress = new StormProgress(flags['no-backend'] ? undefined : backend)
  const isWhole = () => progress.back === clients && progress.isSettled
  const crowds = startCrowds({ addresses, clients, jitter, port: cluster.ports[0] }, progress.onLine)
  await progress.until(isWhole, 'all clients for the first time')
  await delay(CALM_MS)

  const ownUsage = startOwnUsage()
  const killedAtMs = Date.now()
  progress.begin()
  for (const pid of cluster.frontPids.slice(0, kill)) process.kill(pid, 'SIGKILL')
  await progress.until(() => progress.lost > 0, 'the first one cut off')
  await progress.until(isWhole, 'all clients again')
  const figures = progress.figures(killedAtMs)
  const backendUsage = ownUsage()
  await delay(CALM_MS) // until the probes have told the last of it
  const pids = { ...cluster.pids, gateway: [...cluster.frontPids, ...probes.pidsSince(killedAtMs)] }
  const usages = Object.entries(pids).map(([name, processes]) => [
    name,
    probes.between(processes, killedAtMs, killedAtMs + figures.allBackMs),
  ])
  for (const crowd of crowds) crowd.kill()
  backend.close()
  await cluster.stop()
  probes.remove()
  return { ...figures, usage: { ...Object.fromEntries(usages), backend: backendUsage } }
}

function startCrowds({ clients, ...settings }, watch) {
  const count = Math.ceil(clients / CLIENTS_A_PROCESS)
  return Array.from({ length: count }, (_, index) => {
    const share = Math.floor((clients + index) / count)
    const flags = Object.entries({ ...settings, clients: share }).map(([name, value]) => `--${name}=${value}`)
    return new ChildProcess('storm-clients', [CLIENTS_FILE, ...flags], { watch })
  })
}

/** Looks at this process, which is the backend (and reads what the clients tell); the function that it returns ends that. */
function startOwnUsage() {
  const delays = monitorEventLoopDelay({ resolution: 10 })
  delays.enable()
  const before = process.cpuUsage()
  const startedAt = performance.now()
  return () => {
    const { user, system } = process.cpuUsage(before)
    const lagMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 10)
    return {
      cpuShare: (user + system) / 1000 / (performance.now() - startedAt),
      lagP99Ms: lagMs(delays.percentile(99)),
      lagMaxMs: lagMs(delays.max),
    }
  }
}
