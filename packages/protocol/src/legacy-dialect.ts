import { isUtf8 } from 'node:buffer'
import { Command, Flag } from './commands.ts'
import type { ClientOrigin, Dialect, ToldClient } from './dialect.ts'
import type { GatewayWorkerError } from './errors.ts'
import { EMPTY, type Frame, type FrameOrigin } from './frame.ts'
import { ipToNumber } from './ipv4.ts'
import type { Link } from './link.ts'
import { phpSerialize } from './php-codec.ts'
import { type ReceivedHandshake, toPhpHandshake } from './php-handshake.ts'
import { toPhpJson } from './php-json.ts'
import { castTextKey } from './php-values.ts'

/** The commands that PHP asks with, each with the answer to one that makes no sense: nothing found (wire.md section 3). */
const NOTHING_FOUND: ReadonlyMap<number, unknown> = new Map<number, unknown>([
  [Command.GET_ALL_CLIENT_SESSIONS, []],
  [Command.IS_ONLINE, 0],
  [Command.GET_CLIENT_ID_BY_UID, []],
  [Command.BATCH_GET_CLIENT_ID_BY_UID, []],
  [Command.GET_CLIENT_SESSIONS_BY_GROUP, []],
  [Command.GET_CLIENT_COUNT_BY_GROUP, 0],
  [Command.SELECT, []],
  [Command.GET_GROUP_ID_LIST, []],
  [Command.BATCH_GET_CLIENT_COUNT_BY_GROUP, []],
  [Command.GET_SESSION_BY_CLIENT_ID, null],
])

const NO_SESSION = phpSerialize.encode([])
const PHP_NULL = phpSerialize.encode(null)

/**
 * What PHP's workers and GatewayClients speak (wire.md): events carry the client's address and session, answers are no frames and come in
 * the order of asking.
 */
export class LegacyDialect implements Dialect {
  readonly acknowledges = false
  readonly codec = phpSerialize
  readonly #localIp: number
  readonly #localPort: number
  /** Worked out once for each client. */
  readonly #origins = new WeakMap<ClientOrigin, FrameOrigin>()

  /** `lanIp` and `lanPort` are what the gateway's client ids are made of. */
  constructor(lanIp: string, lanPort: number) {
    this.#localIp = ipToNumber(lanIp)
    this.#localPort = lanPort
  }

  answer(link: Link, question: Frame, value: unknown): void {
    switch (question.command) {
      case Command.GET_SESSION_BY_CLIENT_ID:
        link.sendBareAnswer(value instanceof Uint8Array ? (value.length === 0 ? NO_SESSION : value) : encode(value))
        break
      case Command.GET_GROUP_ID_LIST:
        // They are keys of an array in PHP.
        link.sendBareAnswer(encode((value as string[]).map(castTextKey)))
        break
      default:
        link.sendBareAnswer(encode(value))
    }
  }

  answerError(link: Link, question: Frame, _error: GatewayWorkerError): void {
    link.sendBareAnswer(encode(NOTHING_FOUND.get(question.command)))
  }

  isQuestion(frame: Frame): boolean {
    return NOTHING_FOUND.has(frame.command)
  }

  hasMessage(frame: Frame): boolean {
    return frame.bodyLength > 0 && (isScalar(frame) || !frame.body.equals(PHP_NULL))
  }

  /** PHP does not say whether a message is text: what cannot be text is binary. Values are sent as JSON. */
  readMessage(frame: Frame): { body: Buffer; isBinary: boolean } {
    const { body } = frame
    if (isScalar(frame)) return { body, isBinary: !isUtf8(body) }
    return { body: Buffer.from(toPhpJson(this.codec.decode(body))), isBinary: false }
  }

  /** Said with every event. */
  tellClient(): void {}

  tellEvent(link: Link, client: ToldClient, command: number, _flag: number, told: Uint8Array | object): void {
    const body = command === Command.ON_CLOSE ? EMPTY : told // PHP is not told why
    const isBytes = body instanceof Uint8Array
    const isHandshake = command === Command.ON_WEBSOCKET_CONNECT
    const bytes = isBytes ? body : encode(isHandshake ? toPhpHandshake(body as ReceivedHandshake) : body)
    const origin = this.#originOf(client.origin)
    link.send(command, client.connectionId, isBytes ? Flag.SCALAR : 0, client.sessionIn(this.codec), bytes, 0, origin)
  }

  /** Said with every event. */
  tellSession(): void {}

  #originOf(client: ClientOrigin): FrameOrigin {
    const known = this.#origins.get(client)
    if (known !== undefined) return known
    const origin: FrameOrigin = {
      clientIp: ipToNumber(client.remoteAddress),
      clientPort: client.remotePort,
      gatewayPort: client.gatewayPort,
      localIp: this.#localIp,
      localPort: this.#localPort,
    }
    this.#origins.set(client, origin)
    return origin
  }
}

function isScalar(frame: Frame): boolean {
  return (frame.flag & Flag.SCALAR) !== 0
}

function encode(value: unknown): Buffer {
  return phpSerialize.encode(value)
}
