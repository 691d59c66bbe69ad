import { readFileSync } from 'node:fs'
import { expect, it, onTestFailed, onTestFinished } from 'vitest'
import { fixture, scripts } from './cluster.ts'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { isRunning, Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 60)
const SEED = Number(process.env.CHAOS_SEED ?? 1)
/** What chaos.mjs sends unless it is told otherwise. */
const MESSAGES_PER_SECOND = 1_000
const WORKERS = 3
/** How long everything may take to be answered, and every end to be told, when nothing is broken any more. */
const SETTLE_S = 90
const MAX_MEMORY_BYTES = 256 * 1024 * 1024

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
    const chaos = new Program('scripts/bench/chaos.mjs', [
      ...['--json', '--hang-ups', '--ledger', ledger, '--seconds', String(SECONDS), '--seed', String(SEED)],
      ...gateways.flatMap(({ pid }, index) => ['--gateway', `${pid}=${urls[index]}`]),
      ...registers.flatMap(({ pid }) => ['--register', String(pid)]),
      ...['--worker', String(workers.pid)],
    ])
    onTestFinished(() => chaos.killAll())
    const exit = await within(chaos.exited, 'the end of the chaos', (SECONDS + SETTLE_S) * 1_000)

    expect(exit, chaos.errors).toEqual({ code: 0, signal: null })
    console.log(chaos.text)
    const { deeds, ...verdict } = chaos.lines.at(-1)! as unknown as { deeds: Record<string, number>; judged: number }
    expect(verdict).toMatchObject({
      closedOnly: 0,
      closedTwice: 0,
      cutOff: 0,
      doubled: 0,
      ghosts: 0,
      idsReused: 0,
      lost: 0,
      outOfOrder: 0,
    })
    expect(verdict.judged).toBeGreaterThan((SECONDS * MESSAGES_PER_SECOND) / 2)
    expect(Object.values(deeds).reduce((sum, times) => sum + times)).toBeGreaterThanOrEqual(SECONDS / 10)

    const ends = readFileSync(ledger, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"close"'))
    for (const end of ends) expect(JSON.parse(end).session.connectedBy).toBeTypeOf('number')
    const memory = programs.flatMap((program) => [...program.pids].filter(isRunning).map(residentBytes))
    expect(Math.max(...memory)).toBeLessThan(MAX_MEMORY_BYTES)
    for (const program of programs.toReversed()) expect(await program.stop()).toEqual({ code: 0, signal: null })
  },
  (SECONDS + SETTLE_S + 30) * 1_000,
)
