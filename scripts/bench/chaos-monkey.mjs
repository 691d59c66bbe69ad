import { setTimeout as delay } from 'node:timers/promises'
import { childrenOf } from './child-process.mjs'

/** What is done, and its share; the rest are pauses, or nothing. */
const WORKER_KILLS = 0.35
const GATEWAY_KILLS = 0.15
const RELOADS = 0.15
const REGISTER_KILLS = 0.1

const BETWEEN_DEEDS_MS = [100, 500]
/** Shorter than anybody takes a process for dead. */
const PAUSE_MS = [200, 2000]
const POLL_MS = 50
/** A process that is back has to find the others, too, and how far it is with that cannot be seen from outside. */
const RECOVERY_MS = 1000
const RECOVERY_DEADLINE_MS = 60_000
/** Workerman's master takes a child that stands still for dead: it starts another one, and a reload leaves the old one out. */
const FORGOTTEN_AFTER_MS = 10_000

/**
 * Breaks one process after the other, at random. The next one is broken when the one before is back in its place and every
 * client is served, so that what is measured is the loss of single processes; but processes that stand still for a moment do
 * so at any time.
 */
export class ChaosMonkey {
  /** How many children each master has when all is well. */
  #counts = new Map()
  #everPaused = new Set()
  #gateways
  #hasPauses
  #isServed
  #paused = new Set()
  #pauses = 0
  #random
  #registers
  #reloads = 0
  #workers

  /**
   * @param {object} options
   * @param {import('./chaos-client.mjs').GatewayGroup[]} options.gateways
   * @param {boolean} options.hasPauses whether processes are made to stand still, too
   * @param {() => boolean} options.isServed whether every client is connected and has been answered
   * @param {{ kills: number, master: number }[]} options.registers
   * @param {number} options.seed
   * @param {{ kills: number, master: number, reloadSignal: NodeJS.Signals }[]} options.workers
   */
  constructor({ gateways, hasPauses, isServed, registers, seed, workers }) {
    this.#gateways = gateways
    this.#hasPauses = hasPauses
    this.#isServed = isServed
    this.#random = createRandom(seed)
    this.#registers = registers
    this.#workers = workers
  }

  /** What was done, and how often. */
  get deeds() {
    const killed = (groups) => groups.reduce((sum, { kills }) => sum + kills, 0)
    return {
      'workers killed': killed(this.#workers),
      'gateways killed': killed(this.#gateways),
      'registers killed': killed(this.#registers),
      'workers reloaded': this.#reloads,
      'processes paused': this.#pauses,
    }
  }

  /** Goes on for so long; resolves when everything that was broken is whole again, rejects when something does not get so. */
  async run(durationMs) {
    const end = performance.now() + durationMs
    const pauses = []
    for (const { master } of this.#masters) {
      const { length } = await childrenOf(master)
      if (length === 0) throw new Error(`process ${master} has no children.`)
      this.#counts.set(master, length)
    }
    while (performance.now() < end) {
      await delay(this.#between(BETWEEN_DEEDS_MS))
      const dice = this.#random()
      if (dice < WORKER_KILLS) await this.#killChild(this.#pick(this.#workers))
      else if (dice < WORKER_KILLS + GATEWAY_KILLS) await this.#killChild(this.#pick(this.#gateways))
      else if (dice < WORKER_KILLS + GATEWAY_KILLS + RELOADS) await this.#reload()
      else if (dice > 1 - REGISTER_KILLS && this.#registers.length > 0)
        await this.#killChild(this.#pick(this.#registers))
      else if (this.#hasPauses) pauses.push(this.#pause())
    }
    await Promise.all(pauses)
  }

  /** Lets what stands still go on, at once. */
  release() {
    for (const pid of this.#paused) signal(pid, 'SIGCONT')
  }

  get #masters() {
    return [...this.#gateways, ...this.#workers, ...this.#registers]
  }

  async #killChild(group) {
    const victim = this.#pick(await childrenOf(group.master))
    group.kills += 1
    signal(victim, 'SIGKILL')
    await this.#recovery(group.master, [victim])
  }

  async #reload() {
    const { master, reloadSignal } = this.#pick(this.#workers)
    const former = await childrenOf(master)
    this.#reloads += 1
    signal(master, reloadSignal)
    await this.#recovery(master, former)
  }

  async #pause() {
    const children = await Promise.all(this.#masters.map(({ master }) => childrenOf(master)))
    const pid = this.#pick(children.flat())
    if (this.#paused.has(pid)) return
    this.#pauses += 1
    this.#paused.add(pid)
    this.#everPaused.add(pid)
    signal(pid, 'SIGSTOP')
    await delay(this.#between(PAUSE_MS))
    signal(pid, 'SIGCONT')
    this.#paused.delete(pid)
  }

  /** Resolves when the master has as many children as ever without the `former` ones, these are gone, and everything goes on. */
  async #recovery(master, former) {
    const deadline = performance.now() + RECOVERY_DEADLINE_MS
    let completeAt = Number.POSITIVE_INFINITY
    while (true) {
      const children = await childrenOf(master)
      const now = performance.now()
      const left = children.filter((pid) => former.includes(pid))
      const isComplete = children.length - left.length >= this.#counts.get(master)
      completeAt = isComplete ? Math.min(completeAt, now) : Number.POSITIVE_INFINITY
      const isForgotten = (pid) => this.#everPaused.has(pid) && now - completeAt > FORGOTTEN_AFTER_MS
      const isWhole = isComplete && left.every(isForgotten)
      const isServed = this.#isServed()
      if (isWhole && isServed && this.#paused.size === 0) break
      if (now > deadline) {
        const state = `${isWhole ? 'has' : 'has not'} got its children back, ${isServed ? 'every' : 'not every'} client is served`
        throw new Error(`${RECOVERY_DEADLINE_MS / 1000} s later, master ${master} ${state}.`)
      }
      await delay(POLL_MS)
    }
    await delay(RECOVERY_MS)
  }

  #between([from, to]) {
    return from + this.#random() * (to - from)
  }

  #pick(from) {
    return from[Math.floor(this.#random() * from.length)]
  }
}

/** A source of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
function createRandom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The process may have been replaced meanwhile. */
function signal(pid, name) {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}
