// The two that are measured. Each starts afresh for every measurement, on free ports of 127.0.0.1.
import { fileURLToPath } from 'node:url'
import { ChildProcess } from './child-process.mjs'

const READY_DEADLINE_MS = 20_000

/**
 * A running server: `port` takes WebSocket clients, `frontPid` is the process that holds their connections.
 *
 * @typedef {{ port: number, frontPid: number, pids: number[], stop: () => Promise<void> }} Contestant
 */

/**
 * Ours: a register, a gateway and a business worker with events.ts, each a process of its own.
 *
 * @returns {Promise<Contestant>}
 */
export async function startCluster() {
  const started = []
  async function startApp(kind, flags) {
    const file = pathOf(`../../apps/${kind}/dist/start-${kind}.js`)
    const app = await startServer(kind, [file, ...flags])
    started.push(app)
    return app
  }

  const register = await startApp('register', ['--listen', '127.0.0.1:0'])
  const registerFlags = ['--register-address', addressOf(register.ready.listen)]
  const gateway = await startApp('gateway', [
    ...['--listen', 'websocket://127.0.0.1:0', '--lan-ip', '127.0.0.1', '--start-port', '0', '--ping-interval', '0'],
    ...registerFlags,
  ])
  await startApp('businessworker', ['--events', pathOf('./events.ts'), ...registerFlags])
  return {
    port: portOf(gateway.ready.listen),
    frontPid: gateway.ready.pid,
    pids: started.map(({ ready }) => ready.pid),
    async stop() {
      for (const { child } of started.reverse()) await child.stop()
    },
  }
}

/**
 * The other: one process of `ws` that broadcasts with `ws.send` in a loop.
 *
 * @returns {Promise<Contestant>}
 */
export async function startPlain() {
  const { child, ready } = await startServer('plain server', [pathOf('./plain-server.mjs')])
  return { port: portOf(ready.listen), frontPid: ready.pid, pids: [ready.pid], stop: () => child.stop() }
}

/** Starts a program and waits for its log line `{"msg":"ready","pid":…,"listen":"…"}`; a worker's has no `listen`. */
async function startServer(name, args) {
  const child = new ChildProcess(name, args)
  const ready = await child.line(({ msg }) => msg === 'ready', READY_DEADLINE_MS)
  return { child, ready }
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
