import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { createPageServer } from './page-server.ts'

const usage = `Usage: start-page [options]

Serves the chat page.

  --gateway-port PORT  the gateway's port for clients, on the host the page comes from (default 7272)
  --host HOST          address to listen on (default 127.0.0.1)
  --port PORT          port to listen on, 0 for any free one (default 55151)
  --help               show this`

/** Ends the process with one line that says what to change. */
function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        'gateway-port': { type: 'string', default: '7272' },
        help: { type: 'boolean', default: false },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '55151' },
      },
    }).values
  } catch (error) {
    // Node's message names the option and goes on with advice that does not fit here.
    return fail((error as Error).message.split('. ', 1)[0]!)
  }
}

function readPort(option: string, value: string, lowest: number): number {
  const port = Number(value)
  if (!/^\d{1,5}$/.test(value) || port < lowest || port > 65535) {
    fail(`${option} must be a port from ${lowest} to 65535, not '${value}'`)
  }
  return port
}

const options = readOptions()
if (options.help) {
  console.log(usage)
  process.exit(0)
}
const { host } = options
const port = readPort('--port', options.port, 0)
const server = createPageServer({ gatewayPort: readPort('--gateway-port', options['gateway-port'], 1) })

function onListenError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EADDRINUSE') fail(`port ${port} on ${host} is already in use; choose another with --port`)
  fail(`Cannot listen on ${host} port ${port} (${error.code}): see --host and --port`)
}

function onListening(): void {
  const address = server.address() as AddressInfo
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address
  console.log(`The chat page is at http://${shownHost}:${address.port}`)
  process.send?.('ready')
}

function stop(): void {
  server.close(() => process.exit(0))
  server.closeAllConnections()
}

server.once('error', onListenError)
server.listen(port, host, onListening)

process.once('SIGTERM', stop)
if (process.send) {
  // Ctrl-C reaches a parent and its children at once; the parent decides in which order they end.
  process.on('SIGINT', () => {})
  // Of signals that are for the parent, SIGUSR1 would open Node's debugger here.
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {})
  process.once('disconnect', stop)
} else {
  process.once('SIGINT', stop)
}
