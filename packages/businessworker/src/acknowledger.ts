import type { ServedGateway } from './served-gateway.ts'

/**
 * Tells gateways which events are handled: one frame for each and turn of the event loop.
 *
 * Invariants: it leaves after everything that the handlers of those events have sent, to whichever gateway, has left this process; where that is so at
 * once, in the turn in which they were handled. A gateway that takes nothing holds it back for half a second at most, and not at all from then until it has
 * caught up (`link-output.ts`). What waits for room on a link, or for a link, has not been accepted: whoever awaits it is not through.
 */
export class Acknowledger {
  #gateways: ServedGateway[] = []
  readonly #written: () => Promise<unknown> | undefined

  /** `written` writes what waits for any gateway, and says when it is gone, or no longer to be waited for, if it is not. */
  constructor(written: () => Promise<unknown> | undefined) {
    this.#written = written
  }

  /** A gateway has events that were handled in this turn. */
  add(gateway: ServedGateway): void {
    if (this.#gateways.push(gateway) === 1) setImmediate(this.#onTurnEnd)
  }

  /** Resolves when all that has been handled is acknowledged. */
  async flush(): Promise<void> {
    const wait = this.#written()
    const send = this.#take()
    await wait
    send()
    await this.#written()
  }

  readonly #onTurnEnd = (): void => {
    const wait = this.#written()
    const send = this.#take()
    if (wait === undefined) send()
    else void wait.then(send)
  }

  #take(): () => void {
    const acknowledgements = this.#gateways.map((gateway) => ({ gateway, pairs: gateway.takeAcknowledgement() }))
    this.#gateways = []
    return () => {
      for (const { gateway, pairs } of acknowledgements) gateway.acknowledge(pairs)
    }
  }
}
