import { isUtf8 } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { msgpack } from './codec.ts'
import { Command, Flag } from './commands.ts'
import type { GatewayLink } from './dial.ts'
import type { ClientOrigin } from './dialect.ts'
import { GatewayWorkerError } from './errors.ts'
import { EMPTY, encodeFrame, Frame, type FrameParts } from './frame.ts'
import { numberToIp } from './ipv4.ts'
import { isNull, readLegacyAnswer } from './legacy-answers.ts'
import { askWhoGetsIt } from './legacy-receipts.ts'
import { LegacyWindows } from './legacy-windows.ts'
import type { Link, LinkHandler } from './link.ts'
import { type Log, silentLog } from './log.ts'
import { phpSerialize } from './php-codec.ts'
import { mergeEncodedSessions, patchEncodedSession, toPlainObject, translateSession } from './sessions.ts'

/** A client that we serve, as its gateway has told it. */
interface LegacyClient {
  /** PHP's bytes. */
  session: Buffer
  /** Changes made here that the gateway has not carried out yet; until then it tells the session without them. */
  unconfirmed: number
}

interface LegacyQuestion {
  onAnswer(value: Buffer): void
  onError(error: GatewayWorkerError): void
}

const EVENTS: ReadonlySet<number> = new Set([
  Command.ON_CONNECT,
  Command.ON_WEBSOCKET_CONNECT,
  Command.ON_MESSAGE,
  Command.ON_CLOSE,
])
const PHP_NULL = phpSerialize.encode(null)

/**
 * A link to a PHP gateway that looks like one to ours: what that says is handed on in the native dialect, and what we say to it is
 * put into words that it knows (wire.md section 3).
 *
 * Invariants: answers go to the questions in the order of asking, also when some of those have been given up; a worker hears of a client
 * before its first event, and of each change of its session before the event that came with it; a change of ours is confirmed when the
 * gateway has carried it out, and what it says before that is not taken for the session.
 */
export class LegacyGateway implements GatewayLink, LinkHandler {
  handler: LinkHandler = { onFrame: () => {} }
  readonly #clients = new Map<number, LegacyClient>()
  /** PHP's gateways do not count a client's events, and use client ids again: the numbers begin elsewhere on each link. */
  readonly #eventsBefore = randomInt(2 ** 31)
  readonly #link: Link
  readonly #log: Log
  readonly #questions: LegacyQuestion[] = []
  readonly #windows = new LegacyWindows(this.#eventsBefore, (event) => this.#handOnEvent(event))
  /** Whether so much waits for room in the windows that nothing more is read. */
  #isFull = false
  #isPaused = false
  /** PHP's gateways go on telling us what happens; nobody is there to hear it. */
  #isLeft = false

  constructor(link: Link, log: Log = silentLog) {
    this.#link = link
    this.#log = log
    link.relyOnTcp()
  }

  get bufferedBytes(): number {
    return this.#link.bufferedBytes
  }

  get isClosed(): boolean {
    return this.#link.isClosed
  }

  get isFull(): boolean {
    return this.#link.isFull
  }

  written(): Promise<void> | undefined {
    return this.#link.written()
  }

  readonly flush = (): void => this.#link.flush()

  pause(): void {
    this.#isPaused = true
    this.#updateReading()
  }

  resume(): void {
    this.#isPaused = false
    this.#updateReading()
  }

  send(
    command: number,
    connectionId = 0,
    flag = 0,
    ext: Uint8Array | string = EMPTY,
    body: Uint8Array | string = EMPTY,
  ): void {
    switch (command) {
      case Command.ACKNOWLEDGE:
        // PHP's gateways keep no events, but we hold back those beyond a client's window.
        this.#windows.acknowledge(body as Buffer)
        this.#checkRoom()
        break
      case Command.HANDLER_TIMED_OUT:
      case Command.REFUSE_CLIENT:
        this.#link.send(Command.KICK, connectionId, 0, EMPTY, PHP_NULL)
        break
      case Command.PATCH_SESSION:
      case Command.SET_SESSION:
      case Command.UPDATE_SESSION:
        this.#changeSession(command, connectionId, flag, Buffer.from(ext))
        break
      default:
        this.#say(command, connectionId, flag, ext, body)
    }
  }

  async ask(
    command: number,
    deadlineMs: number,
    connectionId = 0,
    flag = 0,
    ext: Uint8Array | string = EMPTY,
    body: Uint8Array | string = EMPTY,
  ): Promise<unknown> {
    switch (command) {
      case Command.LEAVE:
        this.#isLeft = true
        return null
      case Command.WATCH_UIDS:
        return false // PHP's gateways do not tell
      case Command.BIND_UID:
        this.send(command, connectionId, flag, ext, body)
        return null
    }
    const ask = (question: number, ext: string) => this.#ask(question, deadlineMs, connectionId, ext)
    const receipt = askWhoGetsIt(command, String(ext), ask)
    if (receipt === undefined) return ask(command, command === Command.SELECT ? withAnyField(String(ext)) : String(ext))
    this.send(command, connectionId, flag, ext, body)
    return receipt()
  }

  /** An answer will come that nobody waits for. */
  expectAnswer(): void {
    this.#questions.push({ onAnswer: () => {}, onError: () => {} })
  }

  onFrame(frame: Frame): void {
    const { command, connectionId } = frame
    if (this.#isLeft || !EVENTS.has(command)) return // or of a later version
    if (command === Command.ON_CONNECT) {
      this.#windows.release(connectionId)
      this.#clients.delete(connectionId)
    }
    const client = this.#clients.get(connectionId)
    if (client === undefined) this.#onNewClient(frame)
    else if (client.unconfirmed === 0 && !client.session.equals(frame.ext)) {
      client.session = Buffer.from(frame.ext)
      this.#tellSession(connectionId, client, 0)
    }
    if (command === Command.ON_CLOSE) this.#clients.delete(connectionId)
    const event = toNativeEvent(frame)
    this.#windows.push(event instanceof Frame ? event : new Frame(encodeFrame(event), 0))
    this.#checkRoom()
  }

  onBareAnswer(value: Buffer): void {
    const question = this.#questions.shift()
    if (question === undefined) {
      this.#link.destroy(new GatewayWorkerError('FRAME_MALFORMED', 'an answer came that nobody asked for'))
      return
    }
    question.onAnswer(value)
    this.#updateReading()
  }

  onFull(): void {
    this.handler.onFull?.(this.#link)
  }

  onDrain(): void {
    this.handler.onDrain?.(this.#link)
  }

  onProgress(): void {
    this.handler.onProgress?.(this.#link)
  }

  onClose(link: Link, error: GatewayWorkerError | undefined): void {
    for (const question of this.#questions.splice(0)) question.onError(link.closedError)
    this.handler.onClose?.(link, error)
  }

  #onNewClient(frame: Frame): void {
    const client: LegacyClient = { session: Buffer.from(frame.ext), unconfirmed: 0 }
    this.#clients.set(frame.connectionId, client)
    const { clientIp, clientPort, gatewayPort } = frame.origin
    const origin: ClientOrigin = { gatewayPort, remoteAddress: numberToIp(clientIp), remotePort: clientPort }
    this.#handOn({
      body: msgpack.encode(origin),
      command: Command.CLIENT_CONTEXT,
      connectionId: frame.connectionId,
      ext: this.#readSession(client.session),
      id: this.#eventsBefore,
    })
  }

  #handOnEvent(event: Frame): void {
    if (event.command === Command.ON_CLOSE) this.#windows.delete(event.connectionId)
    this.handler.onFrame(event, this.#link)
  }

  #handOn(event: FrameParts): void {
    this.handler.onFrame(new Frame(encodeFrame(event), 0), this.#link)
  }

  /** A PHP gateway cannot hold back one client, so from the bound on until half of it the whole link is not read. */
  #checkRoom(): void {
    const { waitingBytes } = this.#windows
    const isFull = waitingBytes >= this.#link.bufferSizeBytes / (this.#isFull ? 2 : 1)
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    this.#updateReading()
  }

  #tellSession(connectionId: number, client: LegacyClient, flag: number): void {
    this.#handOn({ command: Command.SESSION_CHANGED, connectionId, ext: this.#readSession(client.session), flag })
  }

  readonly #readSession = (bytes: Buffer): Buffer => {
    try {
      return translateSession({ bytes, codec: phpSerialize }, msgpack)
    } catch (err) {
      this.#log.error({ peer: this.#link.peer, err }, 'a session that PHP wrote cannot be read; it is taken for empty')
      return EMPTY
    }
  }

  #say(command: number, connectionId: number, flag: number, ext: Uint8Array | string, body: Uint8Array | string): void {
    // PHP takes an empty body for a value unless it is told that it is a text; nothing to say before the end is null there.
    if (body.length > 0) this.#link.send(command, connectionId, flag & (Flag.SCALAR | Flag.RAW), ext, body)
    else if (command === Command.KICK) this.#link.send(command, connectionId, 0, ext, PHP_NULL)
    else this.#link.send(command, connectionId, Flag.SCALAR | (flag & Flag.RAW), ext, body)
  }

  #changeSession(command: number, connectionId: number, flag: number, ext: Buffer): void {
    const client = (flag & Flag.OWN_CHANGE) === 0 ? undefined : this.#clients.get(connectionId)
    if (client === undefined && command === Command.PATCH_SESSION) return // it is gone, and its session with it
    const before = { bytes: client?.session ?? EMPTY, codec: phpSerialize }
    try {
      if (command === Command.PATCH_SESSION) {
        const { set, unset } = msgpack.decode(ext) as { set: Record<string, unknown>; unset: string[] }
        const { bytes } = patchEncodedSession(before, set, unset)
        this.#say(Command.SET_SESSION, connectionId, 0, bytes, EMPTY)
        if (client !== undefined) client.session = bytes
      } else {
        const change = { bytes: phpSerialize.encode(msgpack.decode(ext)), codec: phpSerialize }
        const isMerge = command === Command.UPDATE_SESSION && client !== undefined
        const { bytes } = isMerge ? mergeEncodedSessions(before, change) : change
        this.#say(command, connectionId, 0, change.bytes, EMPTY)
        if (client !== undefined) client.session = bytes
      }
    } finally {
      // Also if it failed: whoever made the change waits to hear what the session is now.
      if (client !== undefined) this.#awaitConfirmation(connectionId, client)
    }
  }

  /** Asks for the session: the answer comes when the change has been carried out, and tells what came of it. */
  #awaitConfirmation(connectionId: number, client: LegacyClient): void {
    client.unconfirmed += 1
    this.#say(Command.GET_SESSION_BY_CLIENT_ID, connectionId, 0, EMPTY, EMPTY)
    this.#questions.push({
      onAnswer: (value) => {
        client.unconfirmed -= 1
        if (this.#clients.get(connectionId) !== client) return
        if (client.unconfirmed === 0) client.session = isNull(value) ? EMPTY : Buffer.from(value)
        this.#tellSession(connectionId, client, Flag.OWN_CHANGE)
      },
      onError: () => {},
    })
  }

  #ask(command: number, deadlineMs: number, connectionId: number, ext: string): Promise<unknown> {
    if (this.#link.isClosed) return Promise.reject(this.#link.closedError)
    return new Promise((resolve, reject) => {
      this.#say(command, connectionId, 0, ext, EMPTY)
      // Its place in the row stays when it is given up.
      const timer = setTimeout(() => {
        const { peer } = this.#link
        reject(new GatewayWorkerError('QUESTION_TIMED_OUT', `${peer} did not answer within ${deadlineMs} ms`))
      }, deadlineMs)
      this.#questions.push({
        onAnswer: (value) => {
          clearTimeout(timer)
          try {
            resolve(readLegacyAnswer(command, value, this.#readSession))
          } catch (error) {
            reject(error)
          }
        },
        onError: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.#updateReading()
    })
  }

  /** A handler may wait for an answer before it can take more, so the link is read while one is on its way. */
  #updateReading(): void {
    if (this.#isPaused || (this.#isFull && this.#questions.length === 0)) this.#link.pause()
    else this.#link.resume()
  }
}

/** PHP lists no client at all of whom no field is asked for. */
function withAnyField(query: string): string {
  const { fields, where } = JSON.parse(query) as { fields: string[]; where: object }
  return fields.length > 0 ? query : JSON.stringify({ fields: ['uid'], where })
}

/** An event as a native gateway tells it. */
function toNativeEvent(frame: Frame): Frame | FrameParts {
  const { body, command, connectionId } = frame
  if (command === Command.ON_WEBSOCKET_CONNECT) {
    const { cookie, get, server } = toPlainObject(phpSerialize.decode(body)) ?? {}
    const handshake = { cookie: toPlainObject(cookie), get: toPlainObject(get), server: toPlainObject(server) }
    return { body: msgpack.encode(handshake), command, connectionId }
  }
  // PHP does not say which messages are text.
  if (command !== Command.ON_MESSAGE || isUtf8(body)) return frame
  return { body, command, connectionId, flag: Flag.SCALAR | Flag.BINARY }
}
