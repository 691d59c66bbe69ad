import {
  Command,
  type CommandToGateway,
  type EncodedSession,
  Flag,
  type Frame,
  type GatewayDescription,
  GatewayWorkerError,
  type Link,
  type Log,
  msgpack,
} from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import type { Hub } from './hub.ts'
import { OutgoingMessage } from './message.ts'
import { isNobody, memberOf, readConnectionIds, readExcludedIds, readJson, readTexts } from './parameters.ts'
import { countByGroup, select, sessionsOf } from './queries.ts'
import { mergeSession, patchSession, type StoredSession, storeSession } from './session.ts'
import type { UidWatchers } from './uid-watchers.ts'
import type { WorkerPool } from './worker-pool.ts'

/** What commands act on. */
export interface CommandSurroundings {
  describe(): GatewayDescription
  readonly hub: Hub<ClientConnection>
  readonly log: Log
  readonly uidWatchers: UidWatchers
  readonly workers: WorkerPool
}

/** Carries a command out. What it returns is the answer, or a promise of it that is kept, if the sender asked for one. */
type Handler = (around: CommandSurroundings, frame: Frame, link: Link) => unknown

/** The answer to a send: how many clients took the message, and how many were too slow to. */
type Receipt = [taken: number, slow: number]

const handlers = {
  [Command.SEND_TO_ONE]: ({ hub }, frame, link) => {
    const client = hub.get(frame.connectionId)
    return client === undefined ? [0, 0] : sendTo([client], readMessage(frame, link))
  },

  [Command.SEND_TO_ALL]: ({ hub }, frame, link) => {
    const message = readMessage(frame, link)
    const audience = readJson(frame)
    const chosen = memberOf(audience, 'connections')
    if (chosen === undefined) return sendTo(hub.members(), message, readExcludedIds(memberOf(audience, 'exclude')))
    return sendTo(membersOf(hub, new Set(readConnectionIds(chosen))), message)
  },

  [Command.SEND_TO_UID]: ({ hub }, frame, link) => {
    const message = readMessage(frame, link)
    return addUp(readTexts(readJson(frame)).map((uid) => sendTo(hub.membersOfUid(uid), message)))
  },

  [Command.SEND_TO_GROUP]: ({ hub }, frame, link) => {
    const message = readMessage(frame, link)
    const audience = readJson(frame)
    const excluded = readExcludedIds(memberOf(audience, 'exclude'))
    const groups = readTexts(memberOf(audience, 'group'))
    return addUp(groups.map((group) => sendTo(hub.membersOfGroup(group), message, excluded)))
  },

  [Command.KICK]: ({ hub }, frame, link) => {
    const client = hub.get(frame.connectionId)
    try {
      if (link.dialect.hasMessage(frame)) client?.send(readMessage(frame, link))
    } finally {
      client?.close(CloseCode.CLOSED, '', 'kicked') // whether its last message can be read or not
    }
  },

  [Command.DESTROY]: ({ hub }, frame) => hub.get(frame.connectionId)?.destroy('kicked'),

  [Command.REFUSE_CLIENT]: ({ hub }, frame) => {
    hub.get(frame.connectionId)?.close(CloseCode.REFUSED, 'refused', 'refused')
  },

  [Command.ACKNOWLEDGE]: ({ workers }, frame, link) => workers.acknowledge(link, frame.body),
  [Command.LEAVE]: ({ workers }, _frame, link) => workers.leave(link),

  [Command.HANDLER_TIMED_OUT]: (around, frame, link) => {
    servedBy(around, frame, link)?.close(CloseCode.INTERNAL_ERROR, 'event timeout', 'handler_timeout')
  },

  [Command.SET_SESSION]: (around, frame, link) => changeSession(around, frame, link, storeSession),
  [Command.UPDATE_SESSION]: (around, frame, link) => changeSession(around, frame, link, mergeSession),
  [Command.PATCH_SESSION]: (around, frame, link) => changeSession(around, frame, link, patchSession),

  [Command.BIND_UID]: ({ hub, uidWatchers }, frame, link) => {
    const client = hub.get(frame.connectionId)
    const uid = frame.extText
    if (client !== undefined && !isNobody(uid)) hub.bind(client, uid)
    return link.dialect.isQuestion(frame) ? uidWatchers.whenKnown() : undefined
  },

  [Command.UNBIND_UID]: ({ hub }, frame) => {
    const client = hub.get(frame.connectionId)
    if (client !== undefined) hub.unbind(client)
  },

  [Command.WATCH_UIDS]: ({ uidWatchers }, _frame, link) => uidWatchers.watch(link),
  [Command.UID_FILTER_ACK]: ({ uidWatchers }, frame, link) => uidWatchers.acknowledge(link, msgpack.decode(frame.body)),

  [Command.JOIN_GROUP]: ({ hub }, frame) => {
    const client = hub.get(frame.connectionId)
    const group = frame.extText
    if (client !== undefined && !isNobody(group)) hub.join(client, group)
  },

  [Command.LEAVE_GROUP]: ({ hub }, frame) => {
    const client = hub.get(frame.connectionId)
    if (client !== undefined) hub.leave(client, frame.extText)
  },

  [Command.UNGROUP]: ({ hub }, frame) => hub.ungroup(frame.extText),

  [Command.IS_ONLINE]: ({ hub }, frame) => (hub.get(frame.connectionId) === undefined ? 0 : 1),

  [Command.DESCRIBE]: ({ describe }) => describe(),

  [Command.GET_SESSION_BY_CLIENT_ID]: ({ hub }, frame, { dialect }) =>
    hub.get(frame.connectionId)?.sessionIn(dialect.codec) ?? null,

  [Command.GET_ALL_CLIENT_SESSIONS]: ({ hub }, _frame, { dialect }) => sessionsOf(hub.members(), dialect.codec),
  [Command.GET_CLIENT_SESSIONS_BY_GROUP]: ({ hub }, frame, { dialect }) =>
    sessionsOf(hub.membersOfGroup(frame.extText), dialect.codec),

  [Command.GET_CLIENT_ID_BY_UID]: ({ hub }, frame) => connectionIds(hub.membersOfUid(frame.extText)),

  [Command.BATCH_GET_CLIENT_ID_BY_UID]: ({ hub }, frame) =>
    new Map(readTexts(readJson(frame)).map((uid) => [uid, connectionIds(hub.membersOfUid(uid))])),

  [Command.GET_CLIENT_COUNT_BY_GROUP]: ({ hub }, frame) =>
    frame.extLength === 0 ? hub.size : hub.membersOfGroup(frame.extText).size,

  [Command.BATCH_GET_CLIENT_COUNT_BY_GROUP]: ({ hub }, frame) => countByGroup(hub, readTexts(readJson(frame))),

  [Command.GET_GROUP_ID_LIST]: ({ hub }) => [...hub.groups()],

  [Command.SELECT]: ({ hub }, frame, { dialect }) => select(hub, readJson(frame), dialect.codec),
} satisfies Record<CommandToGateway, Handler>

/**
 * Carries out what a frame from a worker or backend says, and answers it if it asks. An unknown command is ignored, as PHP does;
 * one that fails is answered with its error, or logged if nobody waits for an answer.
 */
export function carryOut(around: CommandSurroundings, frame: Frame, link: Link): void {
  const handler: Handler | undefined = handlers[frame.command as CommandToGateway]
  try {
    if (handler === undefined) throw new GatewayWorkerError('BAD_PARAMETERS', `command ${frame.command} is unknown`)
    const answer = handler(around, frame, link)
    if (!link.dialect.isQuestion(frame)) return
    if (answer instanceof Promise) void answer.then((value) => link.dialect.answer(link, frame, value))
    else link.dialect.answer(link, frame, answer)
  } catch (error) {
    const known = error instanceof GatewayWorkerError
    const log = known ? around.log.warn : around.log.error
    log.call(around.log, { peer: link.peer, command: frame.command, err: error }, 'a command could not be carried out')
    if (!link.dialect.isQuestion(frame)) return
    link.dialect.answerError(link, frame, known ? error : new GatewayWorkerError('ANSWER_FAILED', String(error)))
  }
}

function readMessage(frame: Frame, link: Link): OutgoingMessage {
  const { body, isBinary } = link.dialect.readMessage(frame)
  return new OutgoingMessage(body, isBinary, (frame.flag & Flag.RAW) !== 0)
}

const NOBODY: ReadonlySet<number> = new Set()

function sendTo(clients: Iterable<ClientConnection>, message: OutgoingMessage, excluded = NOBODY): Receipt {
  let taken = 0
  let slow = 0
  for (const client of clients) {
    if (excluded.size > 0 && excluded.has(client.connectionId)) continue
    if (client.send(message)) taken += 1
    else slow += 1
  }
  return [taken, slow]
}

function addUp(receipts: Receipt[]): Receipt {
  return receipts.reduce((sum, receipt) => [sum[0] + receipt[0], sum[1] + receipt[1]], [0, 0])
}

function* membersOf(hub: Hub<ClientConnection>, ids: Iterable<number>): Iterable<ClientConnection> {
  for (const id of ids) {
    const client = hub.get(id)
    if (client !== undefined) yield client
  }
}

function servedBy({ hub }: CommandSurroundings, frame: Frame, link: Link): ClientConnection | undefined {
  const client = hub.get(frame.connectionId)
  return client?.worker?.link === link ? client : undefined
}

function changeSession(
  { hub, workers }: CommandSurroundings,
  frame: Frame,
  link: Link,
  change: (old: StoredSession | undefined, ext: EncodedSession) => StoredSession,
): void {
  const client = hub.get(frame.connectionId)
  if (client === undefined) return
  try {
    client.session = change(client.session, { bytes: frame.ext, codec: link.dialect.codec })
  } finally {
    // Also if it failed: whoever made the change waits to hear what the session is now.
    workers.tellSession(client, link, frame.flag & Flag.OWN_CHANGE)
  }
}

function connectionIds(clients: Iterable<ClientConnection>): number[] {
  return Array.from(clients, (client) => client.connectionId)
}
