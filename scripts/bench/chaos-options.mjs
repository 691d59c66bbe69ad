import { parseArgs } from 'node:util'

/** What `--help` prints. */
export const usage = `node scripts/bench/chaos.mjs --ledger FILE --gateway PID=URL … --worker PID … [options]
  --clients N          how many clients (300)
  --gateway PID=URL    a master with gateways as its children, and where clients connect to them; may be repeated
  --hang-ups           clients leave now and then, and come back
  --json               print the figures as JSON
  --ledger FILE        where the workers' Events append a line for each onConnect and onClose
  --no-pauses          kill and reload only: no process is stopped for a moment
  --rate N             messages a second, of all clients together (1000)
  --register PID       a master with a register as its child, to be killed too; may be repeated
  --reload-signal NAME what makes the master of the workers replace them, one by one (SIGUSR1)
  --seconds N          how long processes are broken (60)
  --seed N             which ones, and how (1)
  --worker PID         a master with workers as its children; may be repeated`

/**
 * The options from `args`; throws an Error that names what is missing or has a bad value.
 *
 * @returns {*}
 */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      clients: { type: 'string', default: '300' },
      gateway: { type: 'string', multiple: true, default: [] },
      'hang-ups': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      ledger: { type: 'string' },
      'no-pauses': { type: 'boolean', default: false },
      rate: { type: 'string', default: '1000' },
      register: { type: 'string', multiple: true, default: [] },
      'reload-signal': { type: 'string', default: 'SIGUSR1' },
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      worker: { type: 'string', multiple: true, default: [] },
    },
  })
  if (values.help) return { help: true }
  for (const name of ['gateway', 'ledger', 'worker']) {
    if (values[name] === undefined || values[name].length === 0) throw new Error(`--${name} is missing; see --help.`)
  }
  const numbers = ['clients', 'rate', 'seconds', 'seed'].map((name) => [name, readCount(name, values[name])])
  return {
    ...Object.fromEntries(numbers),
    gateways: values.gateway.map(readGateway),
    hangsUp: values['hang-ups'],
    hasPauses: !values['no-pauses'],
    help: false,
    json: values.json,
    ledger: values.ledger,
    registers: values.register.map((pid) => ({ kills: 0, master: readCount('register', pid) })),
    workers: values.worker.map((pid) => ({
      kills: 0,
      master: readCount('worker', pid),
      reloadSignal: values['reload-signal'],
    })),
  }
}

function readGateway(value) {
  const [, pid, url] = /^(\d+)=(wss?:.+)$/.exec(value) ?? []
  if (pid === undefined) throw new Error(`--gateway: "${value}" is no PID=ws://HOST:PORT.`)
  return { kills: 0, master: readCount('gateway', pid), url }
}

function readCount(name, value) {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name}: "${value}" is no whole number above 0.`)
  return count
}
