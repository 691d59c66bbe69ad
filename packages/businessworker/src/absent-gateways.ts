import type { Log } from '@gatewayworker/protocol'
import type { ServedGateway } from './served-gateway.ts'

export interface AbsentGatewaysOptions {
  /** Whether a register knows a gateway; undefined if none can be asked. */
  isOnline(address: string): boolean | undefined
  log: Log
  /** How long no register may know a gateway until it counts as gone for good. */
  lostAfterMs: number
}

interface Absence {
  readonly served: ServedGateway
  /** Since when no register knows it, or one does, without a break. */
  isOnline: boolean | undefined
  since: number
}

const CHECK_MS = 1_000
/** A gateway that lives has noticed by then that we are not linked any more, and has others serve its clients. */
const MOVED_AFTER_MS = 60_000

/**
 * Gateways whose link has ended while clients of theirs were served by it, until it is known what became of those:
 *
 * ```
 * linked again ─┬─ the same process ───────────────────────▶ others serve them, or we are told of them anew: released
 *               └─ another process ────────────────────────▶ lost: onClose
 * not linked ───┬─ unknown to the registers for lostAfterMs ▶ lost: onClose
 *               ├─ known to one for a minute ───────────────▶ others serve them: released
 *               └─ no register can be asked ────────────────▶ it is not known yet
 * ```
 */
export class AbsentGateways {
  readonly #absences = new Map<string, Absence>()
  readonly #options: AbsentGatewaysOptions
  #isClosed = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: AbsentGatewaysOptions) {
    this.#options = options
  }

  add(served: ServedGateway): void {
    if (this.#isClosed || served.clientCount === 0) return
    const isOnline = this.#options.isOnline(served.address)
    this.#absences.set(served.address, { isOnline, served, since: performance.now() })
    this.#timer ??= setInterval(this.#check, CHECK_MS)
  }

  /** A gateway is linked. */
  onUp(address: string, instance: string | undefined): void {
    const absence = this.#absences.get(address)
    if (absence === undefined) return
    if (absence.served.instance === instance) this.#release(absence)
    else this.#lose(absence)
  }

  /** Decides at once, as far as can be, and for good. */
  close(): void {
    this.#isClosed = true
    for (const absence of [...this.#absences.values()]) {
      if (this.#options.isOnline(absence.served.address) === false) this.#lose(absence)
      else this.#release(absence)
    }
  }

  readonly #check = (): void => {
    const now = performance.now()
    for (const absence of [...this.#absences.values()]) {
      const isOnline = this.#options.isOnline(absence.served.address)
      if (isOnline !== absence.isOnline) {
        absence.isOnline = isOnline
        absence.since = now
      } else if (isOnline === false && now - absence.since >= this.#options.lostAfterMs) {
        this.#lose(absence)
      } else if (isOnline === true && now - absence.since >= MOVED_AFTER_MS) {
        this.#release(absence)
      }
    }
  }

  #lose(absence: Absence): void {
    const { address, clientCount } = absence.served
    this.#options.log.warn(
      { gateway: address, clients: clientCount },
      'a gateway is gone for good: its clients are closed',
    )
    this.#remove(absence)
    absence.served.onLost()
  }

  #release(absence: Absence): void {
    this.#remove(absence)
    absence.served.release()
  }

  #remove({ served }: Absence): void {
    this.#absences.delete(served.address)
    if (this.#absences.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
