import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 20
const DEADLINE_MS = 120_000

/** Who has come back so far, and a backend that binds everybody who comes to a uid. */
export class StormProgress {
  /** Clients that a worker has greeted and that are still there. */
  back = 0
  /** Connections that have ended since the storm began. */
  lost = 0
  #backAtMs = []
  #backend
  #boundAtMs = []
  #hasBegun = false
  #unsettled = 0

  /** @param {import('@gatewayworker/gateway-client').GatewayClient | undefined} backend binds them; nobody does without it */
  constructor(backend) {
    this.#backend = backend
  }

  /** Whether the backend has an answer for everybody who came. */
  get isSettled() {
    return this.#unsettled === 0
  }

  /** From now on it counts. */
  begin() {
    this.#hasBegun = true
    this.#backAtMs = []
    this.#boundAtMs = []
  }

  /** Takes a line of storm-clients.mjs. */
  onLine = ({ msg, atMs, greeted, lost }) => {
    if (msg !== 'clients') return
    this.back += greeted.length - lost
    if (this.#hasBegun) this.lost += lost
    for (const clientId of greeted) {
      this.#backAtMs.push(atMs)
      if (this.#backend !== undefined) void this.#bind(clientId)
    }
  }

  /** How long after `sinceMs` parts of those who were lost were back, and bound. */
  figures(sinceMs) {
    const at = (times, share) => (times.sort((a, b) => a - b)[Math.ceil(share * times.length) - 1] ?? sinceMs) - sinceMs
    return {
      lost: this.lost,
      halfBackMs: at(this.#backAtMs, 0.5),
      mostBackMs: at(this.#backAtMs, 0.99),
      allBackMs: at(this.#backAtMs, 1),
      mostBoundMs: at(this.#boundAtMs, 0.99),
    }
  }

  /** Resolves when it is so. */
  async until(isSo, what) {
    const deadline = performance.now() + DEADLINE_MS
    while (!isSo()) {
      if (performance.now() > deadline)
        throw new Error(`${what}: not within ${DEADLINE_MS / 1000} s, ${this.back} are there.`)
      await delay(POLL_MS)
    }
  }

  async #bind(clientId) {
    this.#unsettled += 1
    try {
      await this.#backend.bindUid(clientId, `user of ${clientId}`)
      this.#boundAtMs.push(Date.now())
    } catch (error) {
      process.stderr.write(`storm: not bound: ${error.message}\n`)
    }
    this.#unsettled -= 1
  }
}
