import { setTimeout as after } from 'node:timers/promises'
import type { Program } from './program.ts'

/** What is there to be broken. */
export interface Victims {
  gateways: readonly Program[]
  registers: readonly Program[]
  workers: Program
  workerCount: number
}

const PATIENCE_MS = 20_000

/** A source of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Breaks one process after the other, at random. What is promised is promised whichever single process dies: the next one is broken when
 * the one before is back in its place, but processes that stand still for a moment do so at any time.
 */
export class ChaosMonkey {
  /** What was done, and how often. */
  readonly deeds: Record<string, number> = {}
  /** Client ports' gateways that were killed, by index, and how often. */
  readonly gatewayKills: number[]
  readonly #random: () => number
  readonly #stopped = new Set<number>()
  readonly #victims: Victims

  constructor(victims: Victims, seed: number) {
    this.#victims = victims
    this.#random = createRandom(seed)
    this.gatewayKills = victims.gateways.map(() => 0)
  }

  /** Goes on for so long; resolves when everything that was broken is whole again. */
  async run(ms: number): Promise<void> {
    const end = performance.now() + ms
    const pauses: Promise<void>[] = []
    while (performance.now() < end) {
      await after(200 + this.#random() * 800)
      const dice = this.#random()
      if (dice < 0.3) await this.#count('worker killed', () => this.#killWorker())
      else if (dice < 0.45) await this.#count('gateway killed', () => this.#killGateway())
      else if (dice < 0.55) await this.#count('register killed', () => this.#pick(this.#victims.registers).killChild())
      else if (dice < 0.7) await this.#count('workers reloaded', () => this.#reload())
      else pauses.push(this.#count('process paused', () => this.#pause()))
    }
    await Promise.all(pauses)
  }

  async #count(deed: string, act: () => Promise<unknown>): Promise<void> {
    this.deeds[deed] = (this.deeds[deed] ?? 0) + 1
    await act()
  }

  async #killWorker(): Promise<void> {
    const { gateways, workerCount, workers } = this.#victims
    const linked = gateways.map((gateway) => nextLine(gateway, { msg: 'worker linked', workers: workerCount }))
    const index = Math.floor(this.#random() * workerCount)
    process.kill(workers.child(index).pid, 'SIGKILL')
    await Promise.all(linked)
  }

  async #killGateway(): Promise<void> {
    const { gateways, workerCount } = this.#victims
    const index = Math.floor(this.#random() * gateways.length)
    const gateway = gateways[index]!
    this.gatewayKills[index]! += 1
    const linked = nextLine(gateway, { msg: 'worker linked', workers: workerCount })
    process.kill(gateway.child().pid, 'SIGKILL')
    await linked
  }

  async #reload(): Promise<void> {
    const { workers } = this.#victims
    const done = nextLine(workers, { msg: /^reloaded/ })
    workers.kill('SIGUSR1')
    await done
  }

  /** A process stands still, shorter than anybody takes it for dead. */
  async #pause(): Promise<void> {
    const { gateways, workerCount, workers } = this.#victims
    const candidates = [
      ...gateways.map((gateway) => gateway.child().pid),
      ...Array.from({ length: workerCount }, (_, index) => workers.child(index).pid),
    ]
    const pid = this.#pick(candidates)
    if (this.#stopped.has(pid)) return
    this.#stopped.add(pid)
    signal(pid, 'SIGSTOP')
    await after(200 + this.#random() * 1_800)
    signal(pid, 'SIGCONT')
    this.#stopped.delete(pid)
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }
}

function nextLine(program: Program, pattern: Record<string, unknown>): Promise<unknown> {
  return program.next(pattern, PATIENCE_MS)
}

/** It may have been killed meanwhile, or replaced. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {}
}
