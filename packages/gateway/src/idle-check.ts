import { inSlices } from './slices.ts'

/** A client as seen by whoever wants to know whether it is still there. */
export interface Askable {
  /** Asks, in a way that what is at the other end answers by itself, whether anybody is there; false where there is none. */
  ask(): boolean
  /** Output that waits because the client's side takes no more, in bytes. */
  readonly bufferedBytes: number
  /** Output since it came, in bytes, with what waits. */
  readonly bytesOut: number
  /** When it was last heard, as `performance.now()` tells it. */
  readonly heardAt: number
  readonly isPaused: boolean
}

export interface IdleCheckOptions<Client extends Askable> {
  clients(): Iterable<Client>
  onIdle(client: Client): void
  /** 0 for any time. */
  timeoutMs: number
}

/** A question under way. */
interface Asked {
  at: number
  /** What had left if some had to wait, which then leaves only as the client reads; else Infinity. */
  left: number
  /** When it was asked last: a client that is not read is asked again. */
  pingedAt: number
}

/** Checks in the time that a client may be silent: it is gone for so much of the time longer at most. */
const CHECKS = 20

/**
 * Finds clients whose connection is dead though nobody has said so, as after a power cut: one that was silent for half of the time is
 * asked, and destroyed if it is silent, and reads nothing that waits for it, for the other half too.
 *
 * It is beside the heartbeat, which asks what the application in a client says of itself, by PHP's rules, and counts no answer to this. The
 * answer of a client that we do not read cannot be heard. It is asked all the same: a ping to a side that has closed, or that TCP keep-alive has
 * found dead, fails and ends the connection.
 */
export class IdleCheck<Client extends Askable> {
  readonly #asked = new WeakMap<Client, Asked>()
  readonly #options: IdleCheckOptions<Client>
  #checkedAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: IdleCheckOptions<Client>) {
    this.#options = options
  }

  start(): void {
    const { timeoutMs } = this.#options
    this.#checkedAt = performance.now()
    if (timeoutMs > 0) this.#timer = setInterval(this.#onTime, timeoutMs / CHECKS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  readonly #onTime = (): void => {
    const now = performance.now()
    const isLate = now - this.#checkedAt > (2 * this.#options.timeoutMs) / CHECKS
    this.#checkedAt = now
    // After a time in which nothing was done, answers that have come are still to be read.
    if (!isLate) void this.#check()
  }

  readonly #check = inSlices(
    () => this.#options.clients(),
    (client: Client) => this.#checkClient(client, performance.now()),
  )

  #checkClient(client: Client, now: number): void {
    const { onIdle, timeoutMs } = this.#options
    const patienceMs = timeoutMs / 2
    const asked = this.#asked.get(client)
    if (now - client.heardAt < patienceMs) {
      if (asked !== undefined) this.#asked.delete(client)
      return
    }
    if (client.isPaused) {
      // Not before keep-alive had its time: it probes only while nothing of ours is on its way. Once it is read, its time begins anew.
      const pingedAt = asked?.pingedAt ?? client.heardAt
      const isDue = now - pingedAt >= timeoutMs
      if (isDue) client.ask()
      this.#asked.set(client, { at: now, left: Number.POSITIVE_INFINITY, pingedAt: isDue ? now : pingedAt })
      return
    }
    if (asked === undefined) {
      const { bufferedBytes, bytesOut } = client
      const left = bufferedBytes > 0 ? bytesOut - bufferedBytes : Number.POSITIVE_INFINITY
      if (client.ask()) this.#asked.set(client, { at: now, left, pingedAt: now })
      return
    }
    const left = client.bytesOut - client.bufferedBytes
    if (left > asked.left) this.#asked.set(client, { ...asked, at: now, left })
    else if (now - asked.at >= patienceMs) onIdle(client)
  }
}
