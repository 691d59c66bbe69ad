import { readFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { expect, it, onTestFailed, onTestFinished } from 'vitest'
import { ChaosClient, type ConnectionRecord, HANG_UP_CODE } from './chaos-client.ts'
import { ChaosMonkey } from './chaos-monkey.ts'
import { fixture, scripts } from './cluster.ts'
import { freePort } from './free-port.ts'
import { isRunning, Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 60)
const SEED = Number(process.env.CHAOS_SEED ?? 1)
const CLIENTS = 300
const MESSAGES_PER_SECOND = 1_000
const WORKERS = 3
/** How long everything may take to be answered, and every end to be told, when nothing is broken any more. */
const SETTLE_MS = 40_000
const MAX_MEMORY_BYTES = 256 * 1024 * 1024

interface LedgerLine {
  clientId: string
  event: 'connect' | 'close'
  messageId: string
  reason?: string
  redelivered: boolean
  session?: { connectedBy?: number }
}

/** Two registers, two gateways and three workers, each at an address that stays. */
async function startAll(events: string) {
  const programs: Program[] = []
  const run = (script: string, args: readonly string[]) => {
    const program = new Program(script, args)
    programs.push(program)
    return program
  }
  onTestFinished(async () => {
    await Promise.all(programs.map((program) => program.killAll()))
  })
  onTestFailed(() => console.log(programs.map((program) => program.output).join('\n')))
  const [registerPorts, clientPorts, lanPorts] = [
    [await freePort(), await freePort()],
    [await freePort(), await freePort()],
    [await freePort(), await freePort()],
  ]
  const registerArgs = registerPorts.flatMap((port) => ['--register-address', `127.0.0.1:${port}`])
  const registers = registerPorts.map((port) => run(scripts.register, ['--listen', `127.0.0.1:${port}`]))
  const gateways = clientPorts.map((port, index) => {
    const listen = ['--listen', `websocket://127.0.0.1:${port}`, '--start-port', String(lanPorts[index])]
    return run(scripts.gateway, [...listen, ...registerArgs, '--no-worker-timeout', '60'])
  })
  const workers = run(scripts.businessworker, ['--events', events, '--count', String(WORKERS), ...registerArgs])
  await Promise.all(programs.map((program) => program.ready()))
  await Promise.all(gateways.map((gateway) => gateway.line({ msg: 'worker linked', workers: WORKERS })))
  return { gateways, programs, registers, urls: clientPorts.map((port) => `ws://127.0.0.1:${port}`), workers }
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + SETTLE_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${SETTLE_MS} ms: ${what()}`)
    await after(50)
  }
}

function readLedger(path: string): LedgerLine[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LedgerLine)
}

/** What is wrong with the answers of one connection, if anything. */
function faultsOf({ answers, clientId, closeCode, sent }: ConnectionRecord): string[] {
  const faults: string[] = []
  const seen = new Set<number>()
  let last = 0
  for (const { number, redelivered } of answers) {
    if (seen.has(number) && !redelivered) faults.push(`${clientId}: ${number} came twice`)
    // What is delivered again begins where the dead worker had got to, and goes on in order.
    if (!seen.has(number) && number !== seen.size + 1) faults.push(`${clientId}: ${number} came after ${last}`)
    seen.add(number)
    last = number
  }
  if (closeCode === undefined && seen.size < sent) faults.push(`${clientId}: ${sent - seen.size} of ${sent} were lost`)
  return faults
}

/** Clients that are named more than once. */
function twice(lines: readonly { clientId: string }[]): string[] {
  const clientIds = lines.map(({ clientId }) => clientId)
  return clientIds.filter((clientId, at) => clientIds.indexOf(clientId) !== at)
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

it(
  `${SECONDS} s of killed, stopped and reloaded processes lose, double and reorder nothing (CHAOS_SEED=${SEED})`,
  async () => {
    const folder = temporaryFolder({ 'Events.ts': readFileSync(fixture('chaos.ts'), 'utf8'), 'ledger.jsonl': '' })
    const ledger = folder.path('ledger.jsonl')
    const { gateways, programs, registers, urls, workers } = await startAll(folder.path('Events.ts'))
    const everyMs = (CLIENTS / MESSAGES_PER_SECOND) * 1_000
    const clients = Array.from({ length: CLIENTS }, (_, index) => new ChaosClient(urls, index % 2, everyMs))
    const monkey = new ChaosMonkey({ gateways, registers, workers, workerCount: WORKERS }, SEED)

    await monkey.run(SECONDS * 1_000)
    for (const client of clients) client.silence()
    await until(
      () => clients.every(({ isAnswered }) => isAnswered),
      () => `${clients.filter(({ isAnswered }) => !isAnswered).length} clients are not answered`,
    )

    const connections = clients.flatMap((client) => client.connections)
    expect(connections.flatMap(faultsOf)).toEqual([])
    // A client is cut off by the death of its gateway, and by nothing else.
    const codes = new Set(connections.map(({ closeCode }) => closeCode))
    expect(codes).toEqual(new Set([undefined, HANG_UP_CODE, ...(monkey.deeds['gateway killed'] ? [1006] : [])]))

    for (const client of clients) client.close()
    const clientsWith = (event: string) =>
      new Set(readLedger(ledger).flatMap((line) => (line.event === event ? line.clientId : [])))
    const ghosts = () => {
      const closed = clientsWith('close')
      return [...clientsWith('connect')].filter((clientId) => !closed.has(clientId))
    }
    await until(
      () => ghosts().length === 0,
      () => `${ghosts().length} clients had no onClose: ${ghosts().slice(0, 5).join(' ')}`,
    )
    const lines = readLedger(ledger)
    for (const event of ['connect', 'close'] as const) {
      const ofEvent = lines.filter((line) => line.event === event)
      expect(twice(ofEvent.filter(({ redelivered }) => !redelivered)), `more than one on${event}`).toEqual([])
      // What was delivered again is the same event, and not a second one.
      const messageIds = new Map(ofEvent.map(({ clientId, messageId }) => [messageId, { clientId }]))
      expect(twice([...messageIds.values()]), `more than one on${event}`).toEqual([])
    }
    for (const { event, session } of lines) {
      if (event === 'close') expect(session?.connectedBy).toBeTypeOf('number')
    }

    const memory = programs.flatMap((program) => [...program.pids].filter(isRunning).map(residentBytes))
    expect(Math.max(...memory)).toBeLessThan(MAX_MEMORY_BYTES)
    const sent = connections.reduce((sum, connection) => sum + connection.sent, 0)
    const again = connections.flatMap(({ answers }) => answers).filter(({ redelivered }) => redelivered).length
    console.log(
      `${sent} messages, ${again} answers given again, ${connections.length} connections; ${JSON.stringify(monkey.deeds)}`,
    )
    for (const program of programs.toReversed()) expect(await program.stop()).toEqual({ code: 0, signal: null })
  },
  (SECONDS + 120) * 1_000,
)
