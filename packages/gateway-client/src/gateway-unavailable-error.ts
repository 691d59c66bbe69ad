import { GatewayWorkerError } from '@gatewayworker/protocol'

/** Rejects a question or send that not every gateway took part in. */
export class GatewayUnavailableError<Result = unknown> extends GatewayWorkerError {
  /** Why, by the address of the gateway. */
  readonly errors: ReadonlyMap<string, GatewayWorkerError>
  /** The result without the missing gateways' part; undefined for a send. */
  readonly partial: Result

  constructor(errors: ReadonlyMap<string, GatewayWorkerError>, partial: Result) {
    const reasons = Array.from(errors, ([address, error]) => `${address} (${error.code}: ${error.message})`)
    super('GATEWAY_UNAVAILABLE', `not every gateway answered: ${reasons.join(', ')}`)
    this.errors = errors
    this.partial = partial
  }

  /** The addresses of the gateways that did not answer. */
  get missing(): string[] {
    return [...this.errors.keys()]
  }
}
