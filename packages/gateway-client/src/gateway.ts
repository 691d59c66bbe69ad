import {
  type AllowLegacy,
  Command,
  type Credentials,
  checkSession,
  connectionIdOf,
  EMPTY,
  encodeSession,
  Flag,
  GatewayWorkerError,
  type Log,
  type TlsIdentity,
} from '@gatewayworker/protocol'
import { checkRegisterAddress } from '@gatewayworker/register'
import {
  checkClientId,
  checkGroup,
  checkGroups,
  checkUid,
  checkUids,
  type Group,
  type Session,
  toList,
  toTargets,
  type Uid,
} from './arguments.ts'
import { type BindTokenOptions, createBindToken, verifyBindToken } from './bind-token.ts'
import { currentClient } from './current-client.ts'
import { DroppedCalls } from './dropped-calls.ts'
import { type Answer, DEFAULT_DEADLINE_MS, GatewayPool, type GatewayPoolOptions } from './gateway-pool.ts'
import { type EncodedMessage, encodeMessage, type Message } from './message.ts'
import type { Order } from './order-queue.ts'
import {
  askAndCombine,
  askForReceipt,
  bindOne,
  createOrder,
  DONE,
  type Receipt,
  type Target,
  targetsOfUids,
  tellAll,
  tellOne,
} from './orders.ts'
import type { PooledGateway } from './pooled-gateway.ts'
import {
  clientIdsOf,
  distinct,
  type Field,
  lengths,
  type Row,
  readCount,
  readRows,
  readSession,
  readSessions,
  sumOf,
} from './results.ts'

export interface SendOptions {
  /** Send the bytes as they are, without framing them in the client's protocol. Default false. */
  raw?: boolean
  /** Wait until the gateways say who took the message. Default false. */
  receipt?: boolean
}

type Sent<Options> = Promise<Options extends { receipt: true } ? Receipt : void>
type RawOrOptions = boolean | SendOptions

export interface GatewayClientOptions
  extends Credentials,
    Pick<GatewayPoolOptions, 'deadlineMs' | 'linkTimeoutMs' | 'log' | 'retryAfterMs'> {
  /** "host:port" of the register, or `etcd://…` in place of one; or several. Default 127.0.0.1:1236. */
  registerAddress?: string | readonly string[]
}

const DEFAULT_REGISTER_ADDRESS = '127.0.0.1:1236'
const DEFAULT_RETRY_AFTER_MS = 2_000

/**
 * The push API: the methods of GatewayWorker's `Gateway`, each returning a promise. Use the shared object `Gateway`, or an object of
 * your own for each cluster.
 *
 * Every method rejects with a GatewayWorkerError: BAD_CLIENT_ID, BAD_UID, BAD_GROUP, BAD_SESSION or BAD_MESSAGE for an argument that makes
 * no sense; NO_REGISTER or NO_GATEWAY when the cluster was not found in time; GATEWAY_UNAVAILABLE (a GatewayUnavailableError with
 * `missing` and `partial`) when it was not there as a whole. A client, uid or group that nobody knows is no error: nobody gets the
 * message, and questions say so. Lists are in the order in which clients connected, gateway by gateway; keyed results are Maps.
 *
 * A rejection ends no program whose code has let go of the promise: it is reported to `log`, or as a warning of the process.
 *
 * It connects at the first call, keeps its links, and does not keep a program running that has nothing else to do.
 */
export class GatewayClient {
  readonly #dropped = new DroppedCalls(() => this.log)
  #options: GatewayClientOptions
  #ownPool: GatewayPool | undefined
  #workerPool: GatewayPool | undefined

  /** Throws BAD_REGISTER_ADDRESS. */
  constructor(options: GatewayClientOptions = {}) {
    this.#options = options
    checkRegisterAddresses(this.registerAddress)
  }

  get registerAddress(): string | readonly string[] {
    return this.#options.registerAddress ?? DEFAULT_REGISTER_ADDRESS
  }

  /** Set before the first call; a later change lets go of the links of the cluster before. Throws BAD_REGISTER_ADDRESS. */
  set registerAddress(registerAddress: string | readonly string[]) {
    checkRegisterAddresses(registerAddress)
    this.#configure({ registerAddress })
  }

  /** Whether PHP's processes on other hosts may be told the secret, which they need in clear. Default false. */
  get allowLegacy(): AllowLegacy {
    return this.#options.allowLegacy ?? false
  }

  set allowLegacy(allowLegacy: AllowLegacy) {
    this.#configure({ allowLegacy })
  }

  /** What this process shows on links with TLS, and the CA whose certificates it takes; PEM. Default none: no TLS. */
  get tls(): TlsIdentity | undefined {
    return this.#options.tls
  }

  set tls(tls: TlsIdentity | undefined) {
    this.#configure({ tls })
  }

  get secretKey(): string {
    return this.#options.secretKey ?? ''
  }

  set secretKey(secretKey: string) {
    this.#configure({ secretKey })
  }

  /** How long a call may wait for gateways, in milliseconds. Default 5 000. */
  get deadlineMs(): number {
    return this.#workerPool?.deadlineMs ?? this.#options.deadlineMs ?? DEFAULT_DEADLINE_MS
  }

  set deadlineMs(deadlineMs: number) {
    this.#configure({ deadlineMs })
  }

  /** Where it writes what happens, and which calls failed that nobody waited for. Default none: the latter are warnings of the process. */
  get log(): Log | undefined {
    return this.#options.log
  }

  set log(log: Log | undefined) {
    this.#configure({ log })
  }

  /**
   * How long after a call that found no register or no gateway others reject at once, in milliseconds. While every register refuses the connection, and
   * none has ever answered, calls do not wait at all. 0: every call waits for `deadlineMs`. Default 2 000.
   */
  get retryAfterMs(): number {
    return this.#options.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS
  }

  set retryAfterMs(retryAfterMs: number) {
    this.#configure({ retryAfterMs })
  }

  /** For BusinessWorker: use its links instead of own ones; undefined to go back. */
  usePool(pool: GatewayPool | undefined): void {
    this.#workerPool = pool
  }

  /**
   * Ends the links after what was sent; the next call would make new ones. Resolves when the gateways have taken it, or after `timeoutMs` (2 000 by default):
   * what a gateway has not taken by then is lost, and the log says how much.
   */
  async close(timeoutMs?: number): Promise<void> {
    const pool = this.#ownPool
    this.#ownPool = undefined
    await pool?.close(timeoutMs)
  }

  // --- Sending -----------------------------------------------------------------------------------------------------------------

  /** To everybody; or only to `clientIds` (once each, [] is nobody); and in both cases not to `excludeClientIds`. */
  sendToAll<Options extends RawOrOptions = false>(
    message: Message,
    clientIds?: readonly string[] | null,
    excludeClientIds?: string | readonly string[] | null,
    options?: Options,
  ): Sent<Options> {
    return this.#call(() => {
      const order = createOrder(Command.SEND_TO_ALL, 0, EMPTY, encodeMessage(message, options))
      const excluded = toList(excludeClientIds).map(checkClientId)
      if (clientIds == null) {
        return this.#send(order, options, (gateway) => {
          const exclude = idsOn(gateway, excluded)
          return exclude === null ? '' : JSON.stringify({ exclude })
        })
      }
      const leftOut = new Set(excluded)
      const chosen = toList(clientIds)
        .map(checkClientId)
        .filter((clientId) => !leftOut.has(clientId))
      return this.#send(order, options, (gateway) => {
        const connections = idsOn(gateway, chosen)
        return connections === null ? undefined : JSON.stringify({ connections })
      })
    })
  }

  /** To one client. */
  sendToClient<Options extends RawOrOptions = false>(
    clientId: string,
    message: Message,
    options?: Options,
  ): Sent<Options> {
    // Not through #call, whose closure would be a part of what an echo costs a worker.
    try {
      const sent = this.#sendTo(clientId, Command.SEND_TO_ONE, EMPTY, encodeMessage(message, options), options)
      return (sent === DONE ? sent : this.#dropped.watch(sent)) as Sent<Options>
    } catch (error) {
      return this.#dropped.watch(Promise.reject(error)) as Sent<Options>
    }
  }

  /** To the client whose event is being handled. Rejects with NO_CURRENT_CLIENT outside a handler. */
  sendToCurrentClient<Options extends RawOrOptions = false>(message: Message, options?: Options): Sent<Options> {
    return this.#call(() => this.sendToClient(currentClientId(), message, options) as Promise<unknown>) as Sent<Options>
  }

  /** To all clients of a uid, or of several uids (once per listing). */
  sendToUid<Options extends RawOrOptions = false>(
    uid: Uid | readonly Uid[],
    message: Message,
    options?: Options,
  ): Sent<Options> {
    return this.#call(() => {
      const uids = toTargets(uid).map(checkUid)
      const order = createOrder(Command.SEND_TO_UID, 0, EMPTY, encodeMessage(message, options))
      return this.#sendToTargets(order, options, (pool) => targetsOfUids(pool, uids))
    })
  }

  /** To all members of a group, or of several groups (a client in two of them gets it twice), but not to `excludeClientIds`. */
  sendToGroup<Options extends RawOrOptions = false>(
    group: Group | readonly Group[],
    message: Message,
    excludeClientIds?: string | readonly string[] | null,
    options?: Options,
  ): Sent<Options> {
    return this.#call(() => {
      const groups = toTargets(group).map(checkGroup)
      const excluded = toList(excludeClientIds).map(checkClientId)
      const order = createOrder(Command.SEND_TO_GROUP, 0, EMPTY, encodeMessage(message, options))
      let toEverybody: string | undefined
      return this.#send(order, options, (gateway) => {
        const exclude = idsOn(gateway, excluded)
        if (exclude !== null) return JSON.stringify({ group: groups, exclude })
        toEverybody ??= JSON.stringify({ group: groups, exclude })
        return toEverybody
      })
    })
  }

  // --- Ending connections ------------------------------------------------------------------------------------------------------

  /** Says the message, if there is one, then closes the client politely (WebSocket code 1000). */
  closeClient(clientId: string, message?: Message): Promise<void> {
    return this.#call(() => this.#end(clientId, Command.KICK, message == null ? undefined : encodeMessage(message)))
  }

  /** Closes the client whose event is being handled, and handles no more messages of it. */
  closeCurrentClient(message?: Message): Promise<void> {
    return this.#call(() => this.closeClient(currentClientId(), message))
  }

  /** Ends the connection at once; what still waited for the client is dropped. */
  destroyClient(clientId: string): Promise<void> {
    return this.#call(() => this.#end(clientId, Command.DESTROY))
  }

  /** The name that GatewayWorker gave `destroyClient`. */
  destoryClient(clientId: string): Promise<void> {
    return this.#call(() => this.destroyClient(clientId))
  }

  /** Ends the client whose event is being handled at once, and handles no more messages of it. */
  destroyCurrentClient(): Promise<void> {
    return this.#call(() => this.destroyClient(currentClientId()))
  }

  // --- Uids and groups ---------------------------------------------------------------------------------------------------------

  /**
   * Binds the client to a uid, in place of the one it had. A uid may have many clients. Resolves when every process of ours finds the client by
   * the uid; this one does at once.
   */
  bindUid(clientId: string, uid: Uid): Promise<void> {
    return this.#call(() => {
      const name = checkUid(uid)
      const order = createOrder(Command.BIND_UID, connectionIdOf(checkClientId(clientId)), name)
      return this.#whenReady(order, (pool) => bindOne(pool, order, pool.gatewayOf(clientId), name))
    })
  }

  /** Unbinds whatever uid the client has; `uid` is there because GatewayWorker has it. */
  unbindUid(clientId: string, _uid?: Uid): Promise<void> {
    return this.#call(() => this.#sendTo(clientId, Command.UNBIND_UID))
  }

  /** Makes the client a member of the group, which exists as long as it has members. */
  joinGroup(clientId: string, group: Group): Promise<void> {
    return this.#call(() => this.#sendTo(clientId, Command.JOIN_GROUP, checkGroup(group)))
  }

  leaveGroup(clientId: string, group: Group): Promise<void> {
    return this.#call(() => this.#sendTo(clientId, Command.LEAVE_GROUP, checkGroup(group)))
  }

  /** Everybody leaves the group. */
  ungroup(group: Group): Promise<void> {
    return this.#call(() => {
      const ext = checkGroup(group)
      return this.#send(createOrder(Command.UNGROUP), false, () => ext)
    })
  }

  // --- Sessions ----------------------------------------------------------------------------------------------------------------

  /** Replaces the client's session. */
  setSession(clientId: string, session: Session): Promise<void> {
    return this.#call(() => this.#writeSession(clientId, session, Command.SET_SESSION, 'replace'))
  }

  /** Merges into the client's session: maps by key at every depth, lists by index, anything else replaces. */
  updateSession(clientId: string, session: Session): Promise<void> {
    return this.#call(() => this.#writeSession(clientId, session, Command.UPDATE_SESSION, 'merge'))
  }

  /** The client's session, {} if it has none, null if there is no such client. */
  getSession(clientId: string): Promise<Session | null> {
    return this.#call(() =>
      this.#askAbout(clientId, Command.GET_SESSION_BY_CLIENT_ID, EMPTY, (answer) => {
        const bytes = answer?.value as Uint8Array | null | undefined
        return bytes == null ? null : readSession(bytes)
      }),
    )
  }

  /** Client id → session, of everybody, or of a group. */
  getAllClientSessions(group?: Group): Promise<Map<string, Session>> {
    return this.#call(() => {
      if (group !== undefined) return this.getClientSessionsByGroup(group)
      return this.#ask(Command.GET_ALL_CLIENT_SESSIONS, EMPTY, readSessions)
    })
  }

  /** Client id → session. */
  getClientSessionsByGroup(group: Group): Promise<Map<string, Session>> {
    return this.#call(() => this.#ask(Command.GET_CLIENT_SESSIONS_BY_GROUP, checkGroup(group), readSessions))
  }

  // --- Who is online -----------------------------------------------------------------------------------------------------------

  isOnline(clientId: string): Promise<boolean> {
    return this.#call(() => this.#askAbout(clientId, Command.IS_ONLINE, EMPTY, (answer) => readCount(answer) > 0))
  }

  /** Whether the uid has any client. */
  isUidOnline(uid: Uid): Promise<boolean> {
    return this.#call(async () => (await this.getClientIdByUid(uid)).length > 0)
  }

  /** Uid → whether it has any client. */
  isUidsOnline(uids: readonly Uid[]): Promise<Map<string, boolean>> {
    return this.#call(async () => {
      const clients = await this.batchGetClientIdByUid(uids)
      return new Map(Array.from(clients, ([uid, clientIds]) => [uid, clientIds.length > 0]))
    })
  }

  getAllClientIdCount(): Promise<number> {
    return this.#call(() => this.#ask(Command.GET_CLIENT_COUNT_BY_GROUP, EMPTY, sumOf))
  }

  /** The older name of `getAllClientIdCount`. */
  getAllClientCount(): Promise<number> {
    return this.#call(() => this.getAllClientIdCount())
  }

  getClientIdCountByGroup(group: Group): Promise<number> {
    return this.#call(() => this.#ask(Command.GET_CLIENT_COUNT_BY_GROUP, checkGroup(group), sumOf))
  }

  /** The older name of `getClientIdCountByGroup`. */
  getClientCountByGroup(group: Group): Promise<number> {
    return this.#call(() => this.getClientIdCountByGroup(group))
  }

  /** Group → number of members; every asked group is there. */
  batchGetClientIdCountByGroup(groups: readonly Group[]): Promise<Map<string, number>> {
    return this.#call(() => {
      const names = checkGroups(groups)
      return this.#ask(Command.BATCH_GET_CLIENT_COUNT_BY_GROUP, JSON.stringify(names), (answers) => {
        const counts = new Map(names.map((group) => [group, 0]))
        for (const { value } of answers) {
          for (const [group, count] of value as Map<string, number>) counts.set(group, (counts.get(group) ?? 0) + count)
        }
        return counts
      })
    })
  }

  getAllClientIdList(): Promise<string[]> {
    return this.#call(() => this.#select([], {}, (rows) => rows.map(({ clientId }) => clientId)))
  }

  getClientIdListByGroup(group: Group): Promise<string[]> {
    return this.#call(() =>
      this.#select([], { groups: [checkGroup(group)] }, (rows) => rows.map(({ clientId }) => clientId)),
    )
  }

  getClientIdByUid(uid: Uid): Promise<string[]> {
    return this.#call(() => {
      const name = checkUid(uid)
      return this.#ask(
        Command.GET_CLIENT_ID_BY_UID,
        name,
        (answers) => answers.flatMap(({ gateway, value }) => clientIdsOf(gateway, value)),
        (pool) => pool.holdersOf([name]).map(({ gateway }) => ({ gateway })),
      )
    })
  }

  /** Uid → client ids; every asked uid is there. */
  batchGetClientIdByUid(uids: readonly Uid[]): Promise<Map<string, string[]>> {
    return this.#call(() => {
      const names = checkUids(uids)
      const combine = (answers: Answer[]) => {
        const clients = new Map(names.map((uid) => [uid, [] as string[]]))
        for (const { gateway, value } of answers) {
          for (const [uid, ids] of value as Map<string, unknown>) clients.get(uid)?.push(...clientIdsOf(gateway, ids))
        }
        return clients
      }
      return this.#ask(Command.BATCH_GET_CLIENT_ID_BY_UID, EMPTY, combine, (pool) => targetsOfUids(pool, names))
    })
  }

  /** The client's uid, null if it has none or is not there. */
  getUidByClientId(clientId: string): Promise<string | null> {
    return this.#call(() => {
      const where = { connection_id: [connectionIdOf(checkClientId(clientId))] }
      const ext = JSON.stringify({ fields: ['uid'], where })
      return this.#askAbout(clientId, Command.SELECT, ext, (answer) => (answer && readRows([answer])[0]?.uid) ?? null)
    })
  }

  /** The distinct uids of everybody. */
  getAllUidList(): Promise<string[]> {
    return this.#call(() => this.#select(['uid'], {}, (rows) => distinct(rows.map(({ uid }) => uid))))
  }

  getAllUidCount(): Promise<number> {
    return this.#call(async () => (await this.getAllUidList()).length)
  }

  /** The distinct uids in a group. */
  getUidListByGroup(group: Group): Promise<string[]> {
    return this.#call(() =>
      this.#select(['uid'], { groups: [checkGroup(group)] }, (rows) => distinct(rows.map(({ uid }) => uid))),
    )
  }

  getUidCountByGroup(group: Group): Promise<number> {
    return this.#call(async () => (await this.getUidListByGroup(group)).length)
  }

  /** The groups that have members. */
  getAllGroupIdList(): Promise<string[]> {
    return this.#call(() =>
      this.#ask(Command.GET_GROUP_ID_LIST, EMPTY, (answers) =>
        distinct(answers.flatMap(({ value }) => value as string[])),
      ),
    )
  }

  /** Group → distinct uids of its members. */
  getAllGroupUidList(): Promise<Map<string, string[]>> {
    return this.#call(async () => {
      const uids = await this.#listByGroup(['groups', 'uid'], ({ uid }) => uid)
      return new Map(Array.from(uids, ([group, list]) => [group, distinct(list)]))
    })
  }

  /** Group → number of distinct uids of its members. */
  getAllGroupUidCount(): Promise<Map<string, number>> {
    return this.#call(async () => lengths(await this.getAllGroupUidList()))
  }

  /** Group → client ids. */
  getAllGroupClientIdList(): Promise<Map<string, string[]>> {
    return this.#call(() => this.#listByGroup(['groups'], ({ clientId }) => clientId))
  }

  /** Group → number of clients. */
  getAllGroupClientIdCount(): Promise<Map<string, number>> {
    return this.#call(async () => lengths(await this.getAllGroupClientIdList()))
  }

  // --- Whose connection it is ----------------------------------------------------------------------------------------------------
  // These ask nobody, so they return no promise: a forgotten `await` would make every token a good one.

  /**
   * What Events hands a page along with its client id, and the page posts to the site, so that nobody binds somebody else's connection.
   * Throws NO_SECRET_KEY, BAD_CLIENT_ID, or a RangeError for a `ttlS` that makes no sense.
   */
  createBindToken(clientId: string, options?: BindTokenOptions): string {
    return createBindToken(this.secretKey, clientId, options)
  }

  /** Whether the token was made for this client id in this cluster and is still good; anything may be passed. Throws NO_SECRET_KEY. */
  verifyBindToken(clientId: unknown, token: unknown): boolean {
    return verifyBindToken(this.secretKey, clientId, token)
  }

  // --- How orders and questions go out -----------------------------------------------------------------------------------------
  // What a call sends leaves in the caller's turn as soon as a gateway is known, so that calls take effect in the order in which
  // they were made, awaited or not.

  get #pool(): GatewayPool {
    if (this.#workerPool !== undefined) return this.#workerPool
    this.#ownPool ??= new GatewayPool({
      ...this.#options,
      persistent: false,
      registerAddresses: [this.registerAddress].flat() as string[],
      retryAfterMs: this.retryAfterMs,
      role: { kind: 'client' },
    })
    return this.#ownPool
  }

  #configure(change: GatewayClientOptions): void {
    this.#options = { ...this.#options, ...change }
    void this.close()
  }

  /** What every method returns: a promise that the caller may let go of. There is none of its own for a send that has left at once. */
  #call<T>(start: () => Promise<T>): Promise<T> {
    let result: Promise<T>
    try {
      result = start()
    } catch (error) {
      result = Promise.reject(error)
    }
    return (result as Promise<unknown>) === DONE ? result : this.#dropped.watch(result)
  }

  #whenReady<T>({ body, ext }: Order, use: (pool: GatewayPool) => Promise<T>): Promise<T> {
    const pool = this.#pool
    const ready = pool.whenReady(body.length + ext.length)
    return ready === undefined ? use(pool) : ready.then(() => use(pool))
  }

  /** Sends to all gateways for which `extOf` has something. */
  #send<Options extends RawOrOptions>(
    order: Order,
    options: Options | undefined,
    extOf: (gateway: PooledGateway) => string | undefined,
  ): Sent<Options> {
    return this.#sendToTargets(order, options, (pool) => {
      const targets: Target[] = []
      for (const gateway of pool.gateways) {
        const ext = extOf(gateway)
        if (ext !== undefined) targets.push({ gateway, ext })
      }
      return targets
    })
  }

  #sendToTargets<Options extends RawOrOptions>(
    order: Order,
    options: Options | undefined,
    targetsIn: (pool: GatewayPool) => Target[],
  ): Sent<Options> {
    return this.#whenReady<unknown>(order, (pool) => {
      const targets = targetsIn(pool)
      return wantsReceipt(options) ? askForReceipt(pool, order, targets) : tellAll(pool, order, targets)
    }) as Sent<Options>
  }

  /** Sends to the gateway of a client; one that is gone has no client to send to. */
  #sendTo<Options extends RawOrOptions = false>(
    clientId: string,
    command: number,
    ext: string | Uint8Array = EMPTY,
    message?: EncodedMessage,
    options?: Options,
  ): Sent<Options> {
    const order = createOrder(command, connectionIdOf(checkClientId(clientId)), ext, message)
    return this.#whenReady<unknown>(order, (pool) => {
      const gateway = pool.gatewayOf(clientId)
      return wantsReceipt(options) ? askForReceipt(pool, order, targetsOf(gateway)) : tellOne(pool, order, gateway)
    }) as Sent<Options>
  }

  #end(clientId: string, command: number, lastWords?: EncodedMessage): Promise<void> {
    const current = currentClient.getStore()
    if (current !== undefined && current.clientId === clientId) current.onClosing()
    return this.#sendTo(clientId, command, EMPTY, lastWords)
  }

  #writeSession(clientId: string, session: Session, command: number, kind: 'replace' | 'merge'): Promise<void> {
    const ext = encodeSession(session)
    const current = currentClient.getStore()
    if (current === undefined || current.clientId !== clientId) return this.#sendTo(clientId, command, ext)
    const flag = current.onSessionWritten(kind, checkSession(session)) ? Flag.OWN_CHANGE : 0
    return this.#sendTo(clientId, command, ext, { body: EMPTY, flag })
  }

  /** Asks all gateways, or some. */
  #ask<T>(
    command: number,
    ext: string | Uint8Array,
    combine: (answers: Answer[]) => T,
    targetsIn: (pool: GatewayPool) => Target[] = allGateways,
  ): Promise<T> {
    const order = createOrder(command, 0, ext)
    return this.#whenReady(order, (pool) => askAndCombine(pool, order, targetsIn(pool), combine))
  }

  /** Asks the gateway of a client; there is no answer if that is gone. */
  #askAbout<T>(
    clientId: string,
    command: number,
    ext: string | Uint8Array,
    read: (answer: Answer | undefined) => T,
  ): Promise<T> {
    const order = createOrder(command, connectionIdOf(checkClientId(clientId)), ext)
    return this.#whenReady(order, (pool) => {
      const targets = targetsOf(pool.gatewayOf(clientId))
      return askAndCombine(pool, order, targets, ([answer]) => read(answer))
    })
  }

  #select<T>(fields: Field[], where: object, combine: (rows: Row[]) => T): Promise<T> {
    return this.#ask(Command.SELECT, JSON.stringify({ fields, where }), (answers) => combine(readRows(answers)))
  }

  #listByGroup(fields: Field[], pick: (row: Row) => string | null): Promise<Map<string, string[]>> {
    return this.#select(fields, {}, (rows) => {
      const lists = new Map<string, string[]>()
      for (const row of rows) {
        const item = pick(row)
        for (const group of row.groups) {
          const list = lists.get(group) ?? []
          if (item !== null) list.push(item)
          lists.set(group, list)
        }
      }
      return lists
    })
  }
}

/** The shared object of a program; in a BusinessWorker it uses the worker's own links. */
export const Gateway = new GatewayClient()

function wantsReceipt(options: RawOrOptions | undefined): boolean {
  return typeof options === 'object' && options.receipt === true
}

function currentClientId(): string {
  const clientId = currentClient.getStore()?.clientId
  if (clientId === undefined) {
    throw new GatewayWorkerError('NO_CURRENT_CLIENT', 'there is no current client outside an Events handler')
  }
  return clientId
}

/** The connection ids of those clients that the gateway holds, as PHP sends them (id → id); null if there are none. */
function idsOn(gateway: PooledGateway, clientIds: readonly string[]): Record<number, number> | null {
  if (clientIds.length === 0) return null
  const ids = clientIds.filter((clientId) => clientId.startsWith(gateway.key)).map(connectionIdOf)
  return ids.length === 0 ? null : Object.fromEntries(ids.map((id) => [id, id]))
}

function allGateways(pool: GatewayPool): Target[] {
  return Array.from(pool.gateways, (gateway) => ({ gateway }))
}

function targetsOf(gateway: PooledGateway | undefined): Target[] {
  return gateway === undefined ? [] : [{ gateway }]
}

function checkRegisterAddresses(oneOrMany: string | readonly string[]): void {
  const addresses = [oneOrMany].flat()
  if (addresses.length === 0) throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', 'no register address was given')
  for (const address of addresses) checkRegisterAddress(address)
}
