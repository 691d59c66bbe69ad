import { EMPTY, type GatewayWorkerError } from '@gatewayworker/protocol'
import type { Answer, GatewayPool } from './gateway-pool.ts'
import { GatewayUnavailableError } from './gateway-unavailable-error.ts'
import type { EncodedMessage } from './message.ts'
import type { Order } from './order-queue.ts'
import type { PooledGateway } from './pooled-gateway.ts'

/** What became of a message. */
export interface Receipt {
  /** Clients that took it. */
  delivered: number
  /** Clients that read too slowly to get it. */
  slow: number
  /** Addresses of the gateways that did not answer in time. */
  unanswered: string[]
}

/** A gateway to be given an order, with an ext of its own or the order's. */
export interface Target {
  readonly ext?: string
  readonly gateway: PooledGateway
}

const NO_MESSAGE: EncodedMessage = { body: EMPTY, flag: 0 }
/** What a send comes to that has left at once. */
export const DONE = Promise.resolve()

export function createOrder(
  command: number,
  connectionId = 0,
  ext: string | Uint8Array = EMPTY,
  { body, flag } = NO_MESSAGE,
): Order {
  return { body, command, connectionId, ext, flag }
}

/** Tells one gateway, or nobody. Rejects with GATEWAY_UNAVAILABLE. */
export function tellOne(pool: GatewayPool, order: Order, gateway: PooledGateway | undefined): Promise<void> {
  const wait = gateway && pool.tell(gateway, order)
  return wait === undefined ? DONE : allTold([{ gateway: gateway!, wait }])
}

/** Has a gateway bind a uid, or nobody; resolves when it can be found by every native process. Rejects with GATEWAY_UNAVAILABLE. */
export function bindOne(
  pool: GatewayPool,
  order: Order,
  gateway: PooledGateway | undefined,
  uid: string,
): Promise<void> {
  return gateway === undefined ? DONE : allTold([{ gateway, wait: pool.bindUid(gateway, order, uid) }])
}

/** The gateways that may hold any of the uids, each with an ext that names those. */
export function targetsOfUids(pool: GatewayPool, uids: readonly string[]): Target[] {
  const ext = JSON.stringify(uids)
  return pool.holdersOf(uids).map(({ gateway, uids: there }) => {
    return { gateway, ext: there === uids ? ext : JSON.stringify(there) }
  })
}

/** Tells every target. Rejects with GATEWAY_UNAVAILABLE if some could not be reached in time; the others have got theirs. */
export function tellAll(pool: GatewayPool, order: Order, targets: Target[]): Promise<void> {
  const waits: { gateway: PooledGateway; wait: Promise<void> }[] = []
  for (const { gateway, ext } of targets) {
    const wait = pool.tell(gateway, order, ext)
    if (wait !== undefined) waits.push({ gateway, wait })
  }
  return waits.length === 0 ? DONE : allTold(waits)
}

async function allTold(waits: { gateway: PooledGateway; wait: Promise<void> }[]): Promise<void> {
  const errors = new Map<string, GatewayWorkerError>()
  await Promise.all(waits.map(({ gateway, wait }) => wait.catch((error) => errors.set(gateway.address, error))))
  if (errors.size > 0) throw new GatewayUnavailableError(errors, undefined)
}

/** Asks the targets who took a message. */
export async function askForReceipt(pool: GatewayPool, order: Order, targets: Target[]): Promise<Receipt> {
  const { answers, errors } = await askAll(pool, order, targets)
  const receipt: Receipt = { delivered: 0, slow: 0, unanswered: [...errors.keys()] }
  for (const { value } of answers) {
    const [taken, slow] = value as [number, number]
    receipt.delivered += taken
    receipt.slow += slow
  }
  return receipt
}

/** Asks the targets and makes one result of their answers. Rejects with GATEWAY_UNAVAILABLE, which carries the result of those that came. */
export async function askAndCombine<T>(
  pool: GatewayPool,
  order: Order,
  targets: Target[],
  combine: (answers: Answer[]) => T,
): Promise<T> {
  const { answers, errors } = await askAll(pool, order, targets)
  const result = combine(answers)
  if (errors.size > 0) throw new GatewayUnavailableError(errors, result)
  return result
}

/** A gateway that leaves the cluster meanwhile is neither among the answers nor among the errors. */
async function askAll(
  pool: GatewayPool,
  order: Order,
  targets: Target[],
): Promise<{ answers: Answer[]; errors: Map<string, GatewayWorkerError> }> {
  const errors = new Map<string, GatewayWorkerError>()
  const answers = await Promise.all(
    targets.map(({ gateway, ext }) =>
      pool.ask(gateway, order, ext).catch((error) => {
        errors.set(gateway.address, error)
        return undefined
      }),
    ),
  )
  return { answers: answers.filter((answer) => answer !== undefined), errors }
}
