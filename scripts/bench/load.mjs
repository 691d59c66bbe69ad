// The load generator: opens connections to a server on this machine, puts one kind of load on it and prints one line
// of JSON. Ends with an error on stderr and exit code 1 when an answer is missing, late, doubled or not what it has to be.
//
//   node scripts/bench/load.mjs --port PORT [--mode idle|echo|group|paced|session] [--connections N] [--size BYTES] [--depth N]
//                               [--interval MS] [--warmup SECONDS] [--seconds SECONDS] [--addresses N] [--type read|change]
//                               [--pids PID,PID…: processes whose CPU time is divided by the messages]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { cpuTimeUs } from './child-process.mjs'
import { EchoLoad } from './echo-load.mjs'
import { exchange } from './exchange.mjs'
import { GroupLoad } from './group-load.mjs'
import { LoadConnection, sourceAddress } from './load-connection.mjs'
import { PacedLoad } from './paced-load.mjs'
import { SessionLoad } from './session-load.mjs'

const CONNECTING_AT_ONCE = 128
const CONNECT_DEADLINE_MS = 120_000
const ANSWER_DEADLINE_MS = 30_000

const { values } = parseArgs({
  options: {
    addresses: { type: 'string', default: '1' },
    connections: { type: 'string', default: '100' },
    depth: { type: 'string', default: '1' },
    interval: { type: 'string', default: '1000' },
    mode: { type: 'string', default: 'echo' },
    pids: { type: 'string', default: '' },
    port: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    size: { type: 'string', default: '64' },
    type: { type: 'string', default: 'read' },
    warmup: { type: 'string', default: '1' },
  },
})
const { mode, type } = values
const pids = values.pids === '' ? [] : values.pids.split(',').map(Number)
const [addresses, connectionCount, depth, intervalMs, port, seconds, sizeBytes, warmupSeconds] = [
  values.addresses,
  values.connections,
  values.depth,
  values.interval,
  values.port,
  values.seconds,
  values.size,
  values.warmup,
].map(Number)

process.on('uncaughtException', (error) => {
  process.stderr.write(`load: ${error.message}\n`)
  process.exit(1)
})

const { connections, connectPerSecond } = await withDeadline(connectAll(), CONNECT_DEADLINE_MS, 'the handshakes')
const result = { mode, connections: connectionCount, connectPerSecond }
if (mode === 'idle') {
  printResult(result)
  await delay(seconds * 1000)
} else {
  printResult({ ...result, sizeBytes, depth, ...(await measure()) })
}
process.exit(0)

/** Opens the connections, a bounded number of handshakes at a time; the rate is from the first to the last of them. */
async function connectAll() {
  const connections = []
  const startedAt = performance.now()
  async function connectSome() {
    while (connections.length < connectionCount) {
      const localAddress = addresses === 1 ? undefined : sourceAddress(connections.length, addresses)
      const connection = new LoadConnection(connections.length, port, { localAddress })
      connections.push(connection)
      await connection.opened
    }
  }
  await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, connectSome))
  return { connections, connectPerSecond: (connectionCount * 1000) / (performance.now() - startedAt) }
}

async function measure() {
  const Load = { echo: EchoLoad, group: GroupLoad, paced: PacedLoad, session: SessionLoad }[mode]
  const load = new Load(connections, { depth, intervalMs, sizeBytes, type })
  await withDeadline(load.start(), ANSWER_DEADLINE_MS, 'the first answers')
  await delay(warmupSeconds * 1000)

  load.beginMeasuring()
  const cpuBefore = process.cpuUsage()
  const serversBefore = serversCpuUs()
  const startedAt = performance.now()
  await delay(seconds * 1000)
  const elapsedSeconds = (performance.now() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  const serversUs = serversCpuUs() - serversBefore
  const figures = {
    seconds: elapsedSeconds,
    /** What one message took in the processes that were named. */
    cpuUsPerDelivery: pids.length === 0 ? undefined : serversUs / load.deliveries,
    deliveries: load.deliveries,
    deliveriesPerSecond: load.deliveries / elapsedSeconds,
    p50Us: load.latencies.percentile(0.5),
    p99Us: load.latencies.percentile(0.99),
    /** How much of one core the generator itself took: near 1, it is the generator that was measured. */
    generatorCpuShare: (cpu.user + cpu.system) / 1e6 / elapsedSeconds,
  }

  await withDeadline(load.stop(), ANSWER_DEADLINE_MS, 'the messages still under way')
  // Behind an echo on every connection nothing can follow that was sent before, so a doubled last message shows too.
  const last = JSON.stringify({ type: 'echo', data: 'last' })
  await withDeadline(exchange(connections, last, last), ANSWER_DEADLINE_MS, 'the last echoes')
  return figures
}

function serversCpuUs() {
  return pids.reduce((sum, pid) => sum + cpuTimeUs(pid), 0)
}

async function withDeadline(promise, deadlineMs, what) {
  const late = delay(deadlineMs, undefined, { ref: false }).then(() => {
    throw new Error(`${what} did not come within ${deadlineMs / 1000} s.`)
  })
  return await Promise.race([promise, late])
}

function printResult(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
