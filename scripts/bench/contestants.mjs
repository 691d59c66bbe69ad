// The two that are measured. Each starts afresh for every measurement, on free ports of 127.0.0.1.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ChildProcess } from './child-process.mjs'

const ROOT = pathOf('../..')
const READY_DEADLINE_MS = 20_000

/**
 * A running server: `ports` take WebSocket clients, `frontPids` are the processes that hold their connections, `pids` all processes
 * that do any work, by what they are.
 *
 * @typedef {object} Contestant
 * @property {number[]} frontPids
 * @property {Record<string, number[]>} pids
 * @property {number[]} ports
 * @property {string} [registerAddress]
 * @property {() => Promise<void>} stop
 */

/**
 * What a contestant can be told.
 *
 * @typedef {object} ContestantOptions
 * @property {Record<string, string>} [env] of every process
 * @property {string} [events] the workers' file; only ours
 * @property {string} [root] the built repository whose processes are started (this one); only ours
 * @property {string[]} [frontArgs] more options of the gateways; only ours
 * @property {string[]} [frontNodeArgs] what Node is told in the processes that hold connections
 * @property {number} [fronts] how many of these processes there are (1)
 */

/**
 * Ours: a register, a gateway and a business worker with events.ts, each a process of its own.
 *
 * @param {ContestantOptions} [options]
 * @returns {Promise<Contestant>}
 */
export async function startCluster({
  env = {},
  events = './events.ts',
  frontArgs = [],
  frontNodeArgs = [],
  fronts = 1,
  root = ROOT,
} = {}) {
  const started = []
  async function startApp(kind, flags, nodeArgs = []) {
    const file = join(root, `apps/${kind}/dist/start-${kind}.js`)
    const app = await startServer(kind, [...nodeArgs, file, ...flags], 'all ready', env)
    started.push(app)
    return app
  }

  const register = await startApp('register', ['--listen', '127.0.0.1:0'])
  const registerAddress = addressOf(register.ready[0].listen)
  const registerFlags = ['--register-address', registerAddress]
  const gateway = await startApp(
    'gateway',
    [
      // A port that stays the same when every gateway process is killed.
      ...[
        '--listen',
        `websocket://127.0.0.1:${await findFreePort()}`,
        '--lan-ip',
        '127.0.0.1',
        '--start-port',
        '0',
        '--ping-interval',
        '0',
      ],
      ...['--count', String(fronts), ...frontArgs, ...registerFlags],
    ],
    frontNodeArgs,
  )
  const worker = await startApp('businessworker', ['--events', pathOf(events), ...registerFlags])
  const pidsOf = ({ ready }) => ready.map(({ pid }) => pid)
  return {
    frontPids: pidsOf(gateway),
    pids: {
      'gateway master': [gateway.child.pid],
      gateway: pidsOf(gateway),
      worker: pidsOf(worker),
      register: pidsOf(register),
    },
    ports: [portOf(gateway.ready[0].listen)],
    registerAddress,
    async stop() {
      for (const { child } of started.reverse()) await child.stop()
    },
  }
}

/**
 * The other: processes of `ws` that broadcast with `ws.send` in a loop, each with a port of its own.
 *
 * @param {ContestantOptions} [options]
 * @returns {Promise<Contestant>}
 */
export async function startPlain({ env = {}, frontNodeArgs = [], fronts = 1 } = {}) {
  const start = () => startServer('plain server', [...frontNodeArgs, pathOf('./plain-server.mjs')], 'ready', env)
  const servers = await Promise.all(Array.from({ length: fronts }, start))
  const ready = servers.flatMap((server) => server.ready)
  const pids = ready.map(({ pid }) => pid)
  return {
    frontPids: pids,
    pids: { 'plain ws': pids },
    ports: ready.map(({ listen }) => portOf(listen)),
    async stop() {
      for (const { child } of servers) await child.stop()
    },
  }
}

/**
 * Starts a program and waits for its log lines `{"msg":"ready","pid":…,"listen":"…"}` up to the one that says `last`; a worker's have no
 * `listen`.
 */
async function startServer(name, args, last, env) {
  const ready = []
  const child = new ChildProcess(name, args, { env, watch: (line) => line.msg === 'ready' && ready.push(line) })
  await child.line(({ msg }) => msg === last, READY_DEADLINE_MS)
  return { child, ready }
}

async function findFreePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

function pathOf(relative) {
  return fileURLToPath(new URL(relative, import.meta.url))
}

/** `127.0.0.1:1236` of `127.0.0.1:1236` or of `websocket://127.0.0.1:1236`. */
function addressOf(listen) {
  return listen.slice(listen.lastIndexOf('/') + 1)
}

function portOf(listen) {
  return Number(listen.slice(listen.lastIndexOf(':') + 1))
}
