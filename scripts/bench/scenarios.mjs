// What is measured, and how one server is measured once.
import { fileURLToPath } from 'node:url'
import { ChildProcess, residentBytes } from './child-process.mjs'

const LOAD_FILE = fileURLToPath(new URL('./load.mjs', import.meta.url))

/** What connecting, joining and the last answers may take on top of the warm-up and the measuring. */
const LOAD_PATIENCE_MS = 180_000
/** How long connections are left idle before memory is read: the servers have told each other about all of them by then. */
const IDLE_SETTLE_MS = 3000
/** Every server is new, so this is also its time to be compiled. */
const WARM_UP_SECONDS = 2

/**
 * One measured value: `value` in the row's unit; where the load has messages, their latency percentiles, and the CPU time that one of them took
 * in all processes of the server (Linux only).
 *
 * @typedef {{ value: number, cpuUs?: number, p50Us?: number, p99Us?: number, generatorCpuShare?: number }} Figure
 */

/**
 * A line of the table; `kind` is what `--only` names, `atLeast` the ratio of ours to the other that is expected of it.
 *
 * @typedef {{ kind: string, name: string, unit: string, atLeast?: number }} Row
 */

/**
 * A load that fills some rows: `measure` resolves with one figure for each of them.
 *
 * @typedef {object} Scenario
 * @property {Row[]} rows
 * @property {(server: import('./contestants.mjs').Contestant, seconds: number) => Promise<Figure[]>} measure
 */

/**
 * Every scenario, in the order of the table.
 *
 * @returns {Scenario[]}
 */
export function createScenarios({ idleConnections }) {
  return [
    {
      rows: [
        { kind: 'connect', name: 'connect', unit: 'handshakes/s' },
        { kind: 'idle', name: 'idle, gateway', unit: 'kB' },
        { kind: 'idle', name: 'idle, all processes', unit: 'kB' },
      ],
      measure: (server) => measureIdle(server, idleConnections),
    },
    createFlow('echo', 'round trips/s', { connections: 100, size: 64, depth: 1 }),
    createFlow('echo', 'round trips/s', { connections: 100, size: 64, depth: 16 }, 1),
    createFlow('group', 'deliveries/s', { connections: 1000, size: 128, depth: 1 }),
    createFlow('group', 'deliveries/s', { connections: 1000, size: 128, depth: 4 }),
    createFlow('group', 'deliveries/s', { connections: 1000, size: 128, depth: 16 }, 8),
    createFlow('session', 'round trips/s', { connections: 100, size: 64, depth: 4, type: 'read' }),
    createFlow('session', 'round trips/s', { connections: 100, size: 64, depth: 4, type: 'change' }),
  ]
}

/** A scenario that keeps messages flowing and counts what arrives. */
function createFlow(mode, unit, settings, atLeast) {
  async function measure({ pids, ports: [port] }, seconds) {
    const servers = process.platform === 'linux' ? Object.values(pids).flat().join() : ''
    const load = startLoad({ ...settings, mode, pids: servers, port, seconds, warmup: WARM_UP_SECONDS })
    const { cpuUsPerDelivery, deliveriesPerSecond, p50Us, p99Us, generatorCpuShare } = await readResult(load, seconds)
    await load.stop()
    return [{ value: deliveriesPerSecond, cpuUs: cpuUsPerDelivery, p50Us, p99Us, generatorCpuShare }]
  }
  const name = [mode, settings.type, `depth ${settings.depth}`].filter((part) => part !== undefined).join(', ')
  return { rows: [{ kind: mode, name, unit, atLeast }], measure }
}

async function measureIdle({ frontPids, pids, ports: [port] }, connections) {
  const readMemory = () => ({ front: residentOf(frontPids), all: residentOf(Object.values(pids).flat()) })
  const before = readMemory()
  const load = startLoad({ mode: 'idle', port, connections, seconds: (2 * IDLE_SETTLE_MS) / 1000 })
  const { connectPerSecond } = await readResult(load, 0)
  await load.stayUp(IDLE_SETTLE_MS)
  const after = readMemory()
  await load.stop()
  return [
    { value: connectPerSecond },
    { value: (after.front - before.front) / connections / 1000 },
    { value: (after.all - before.all) / connections / 1000 },
  ]
}

/** Starts the load generator with these flags. */
export function startLoad(settings) {
  return new ChildProcess('load', [LOAD_FILE, ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)])
}

/** The line of figures that it prints. */
export function readResult(load, seconds) {
  return load.line(({ mode }) => mode !== undefined, (WARM_UP_SECONDS + seconds) * 1000 + LOAD_PATIENCE_MS)
}

function residentOf(pids) {
  return pids.reduce((total, pid) => total + residentBytes(pid), 0)
}
