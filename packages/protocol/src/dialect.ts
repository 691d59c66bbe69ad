import { type Codec, msgpack } from './codec.ts'
import { Command, Flag } from './commands.ts'
import type { GatewayWorkerError } from './errors.ts'
import { EMPTY, type Frame } from './frame.ts'
import type { Link } from './link.ts'

/** Where a client comes from, and the port that it came to. */
export interface ClientOrigin {
  readonly gatewayPort: number
  readonly remoteAddress: string
  readonly remotePort: number
}

/** A client as its gateway tells a worker of it. */
export interface ToldClient {
  readonly connectionId: number
  readonly origin: ClientOrigin
  /** The session's bytes in a codec; empty if there is none. */
  sessionIn(codec: Codec): Buffer
}

/** How a gateway speaks to a process that has dialled it: as our own do, or as PHP's do. */
export interface Dialect {
  /** Whether a worker says which events it has handled; PHP's have them when they are told. */
  readonly acknowledges: boolean
  /** How values are written to and by this peer. */
  readonly codec: Codec
  /** Answers the question that a frame asked. Session bytes in it are in this codec. */
  answer(link: Link, question: Frame, value: unknown): void
  /** The same when it could not be carried out. */
  answerError(link: Link, question: Frame, error: GatewayWorkerError): void
  /** Whether there is a message in a frame; an empty text, or PHP's null, is none to say before the end. */
  hasMessage(frame: Frame): boolean
  /** Whether the sender of a frame waits for an answer. */
  isQuestion(frame: Frame): boolean
  /** The message in a frame; its body may be a view. */
  readMessage(frame: Frame): { body: Buffer; isBinary: boolean }
  /** From now on the worker on this link serves this client, of which so many events have been handled. */
  tellClient(link: Link, client: ToldClient, handledEvents: number): void
  /** Something happened to a client; `body` is its message's bytes, or a value. Throws FRAME_TOO_LONG. */
  tellEvent(link: Link, client: ToldClient, command: number, flag: number, body: Uint8Array | object): void
  /** The session was changed; `flag` is OWN_CHANGE where this worker did it, and is told that it was carried out. */
  tellSession(link: Link, client: ToldClient, flag: number): void
}

/** What our own processes speak; the README of this package describes it. */
export const nativeDialect: Dialect = {
  acknowledges: true,
  codec: msgpack,
  answer: (link, question, value) => link.answer(question.id, value ?? null),
  answerError: (link, question, error) => link.answerError(question.id, error),
  hasMessage: (frame) => frame.bodyLength > 0,
  isQuestion: (frame) => frame.id !== 0,
  readMessage: (frame) => ({ body: frame.body, isBinary: (frame.flag & Flag.BINARY) !== 0 }),
  tellClient(link, client, handledEvents) {
    const origin = msgpack.encode(client.origin)
    link.send(
      Command.CLIENT_CONTEXT,
      client.connectionId,
      0,
      client.sessionIn(msgpack),
      origin,
      handledEvents % 2 ** 32,
    )
  },
  tellEvent: (link, client, command, flag, body) =>
    link.send(command, client.connectionId, flag, EMPTY, body instanceof Uint8Array ? body : msgpack.encode(body)),
  tellSession: (link, client, flag) =>
    link.send(Command.SESSION_CHANGED, client.connectionId, flag, client.sessionIn(msgpack)),
}
