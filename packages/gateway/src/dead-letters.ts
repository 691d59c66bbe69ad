import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import { Command, type CommandToWorker, Flag, type Log, msgpack, phpSerialize } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import { ClientTransport } from './client-transport.ts'
import type { ClientEvent } from './event-queue.ts'

/** An event that was given up, as a line of the dead-letter file has it. */
export interface DeadLetter {
  /** The payload of a binary message, in base64. */
  base64?: string
  clientId: string
  event: 'onClose' | 'onConnect' | 'onMessage' | 'onWebSocketConnect'
  gatewayPort: number
  groups: string[]
  /** As `context.messageId` has it. */
  messageId: string
  remoteAddress: string
  remotePort: number
  /** The client's session as its gateway kept it. */
  session?: { base64: string; codec: 'msgpack' | 'php' }
  /** The payload of a text message. */
  text?: string
  /** When it was given up, in ISO 8601. */
  time: string
  uid?: string
  /** The handshake of onWebSocketConnect, or the reason of onClose. */
  value?: object
  workersDied: number
}

const EVENTS = {
  onClose: Command.ON_CLOSE,
  onConnect: Command.ON_CONNECT,
  onMessage: Command.ON_MESSAGE,
  onWebSocketConnect: Command.ON_WEBSOCKET_CONNECT,
} as const satisfies Record<DeadLetter['event'], CommandToWorker>

/** Describes an event that is given up. */
export function describeDeadLetter(client: ClientConnection, event: ClientEvent, messageId: string): DeadLetter {
  const { clientId, groups, origin, session, uid } = client
  const { body, command, deaths, flag } = event
  const [name] = Object.entries(EVENTS).find(([, number]) => number === command)!
  const { gatewayPort, remoteAddress, remotePort } = origin
  return {
    time: new Date().toISOString(),
    messageId,
    event: name as DeadLetter['event'],
    ...describeBody(body, flag),
    clientId,
    uid,
    groups: [...(groups ?? [])],
    remoteAddress,
    remotePort,
    gatewayPort,
    session: session && {
      base64: session.bytes.toString('base64'),
      codec: session.codec === msgpack ? 'msgpack' : 'php',
    },
    workersDied: deaths,
  }
}

function describeBody(body: Uint8Array | object, flag: number): Pick<DeadLetter, 'base64' | 'text' | 'value'> {
  if (!(body instanceof Uint8Array)) return { value: body }
  const bytes = Buffer.from(body)
  if ((flag & Flag.BINARY) !== 0) return { base64: bytes.toString('base64') }
  return bytes.length === 0 ? {} : { text: bytes.toString() }
}

/** A line that says that a dead letter was delivered again. */
interface Replayed {
  replayed: string
  time: string
}

/** The file of dead letters: JSON lines, readable by its owner only, to which all gateways of a group append. */
export class DeadLetterFile {
  readonly #log: Log
  readonly #path: string

  /** `path`: '' for no file. */
  constructor(path: string, log: Log) {
    this.#log = log
    this.#path = path
  }

  /** Keeps a dead letter. What cannot be written is logged, payload included. */
  add(letter: DeadLetter): void {
    if (this.#path === '') return
    try {
      mkdirSync(dirname(this.#path), { mode: 0o700, recursive: true })
      this.#append(letter)
    } catch (err) {
      this.#log.error(
        { err, file: this.#path, letter },
        'a dead letter could not be written: free its disk, or name another --dead-letter-file',
      )
    }
  }

  /** Those that were not replayed, the oldest first. Throws the system's error if the file cannot be read. */
  list(): DeadLetter[] {
    const letters = new Map<string, DeadLetter>()
    for (const line of this.#readLines()) {
      if ('replayed' in line) letters.delete(line.replayed)
      else letters.set(line.messageId, line)
    }
    return [...letters.values()]
  }

  /** The letter was delivered again. Throws the system's error if that cannot be written. */
  markReplayed({ messageId }: DeadLetter): void {
    this.#append({ replayed: messageId, time: new Date().toISOString() })
  }

  #append(line: DeadLetter | Replayed): void {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`, { mode: 0o600 })
  }

  #readLines(): (DeadLetter | Replayed)[] {
    if (this.#path === '' || !existsSync(this.#path)) return []
    const lines = readFileSync(this.#path, 'utf8').split('\n')
    return lines.filter((line) => line !== '').flatMap((line) => readLine(line) ?? [])
  }
}

/** Undefined for a line that was cut off, as on a full disk. */
function readLine(line: string): DeadLetter | Replayed | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** A dead letter as an event again: what a worker is told, with the mark that another one may have handled it. */
export function readDeadLetter(letter: DeadLetter): {
  body: Uint8Array | object
  command: CommandToWorker
  flag: number
  /** Events of the client before it. */
  handled: number
  session: { bytes: Buffer; codec: typeof msgpack } | undefined
} {
  const { base64, event, messageId, session, text, value } = letter
  const kind = base64 === undefined ? Flag.SCALAR : Flag.SCALAR | Flag.BINARY
  return {
    body: value ?? (base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64')),
    command: EVENTS[event],
    flag: (value === undefined ? kind : 0) | Flag.REDELIVERED,
    handled: Number(messageId.slice(messageId.lastIndexOf('-') + 1)) - 1,
    session: session && {
      bytes: Buffer.from(session.base64, 'base64'),
      codec: session.codec === 'php' ? phpSerialize : msgpack,
    },
  }
}

/** The transport of a client that is gone: nothing comes, and what is sent reaches nobody. */
export class NoTransport extends ClientTransport {
  constructor() {
    super(new Socket())
  }

  frame(): undefined {}
  override pause(): void {}
  override resume(): void {}
  close(): void {}
  destroy(): void {}
}
