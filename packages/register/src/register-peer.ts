import type { Socket } from 'node:net'
import { type Digest, isLoopback } from '@gatewayworker/protocol'
import { encodeLine, LineParser, MAX_PEER_LINE_BYTES, MAX_STRANGER_LINE_BYTES, type RegisterMessage } from './lines.ts'

const LAST_WORDS_TIMEOUT_MS = 1_000
/** Output that may wait for a peer that goes on talking, beside a list. */
const MAX_WAITING_BYTES = 1024 * 1024
/** The same of one that was not let in. */
const MAX_WAITING_BYTES_OF_STRANGER = 4 * 1024

/** Who is online, as it is told; another object after each change. */
export interface ToldList {
  readonly line: string
}

/** What a peer's first line says, as far as it matters: all that is kept of a stranger's. */
export interface Greeting {
  address: string | undefined
  describe: boolean
  event: string
}

/** The other side of a connection to a register, as far as the register knows it. */
export class RegisterPeer {
  readonly ip: string
  /** "host:port", for logs. */
  readonly name: string
  /** What it has to prove before its greeting counts. */
  challenge: { greeting: Greeting; said: [greeting: Digest, challenge: string] } | undefined
  /** The LAN address that this connection keeps online, if it is a gateway's. */
  gateway: string | undefined
  /** When it was heard last, by `performance.now()`. */
  heardAt = performance.now()
  /** Whether this connection never leaves the machine: its end is always noticed. */
  readonly isLocal: boolean
  /** Whether it was let in. */
  isKnown = false
  /** Whether it speaks as our own processes do. */
  isNative = false
  isWatching = false
  readonly parser = new LineParser(MAX_STRANGER_LINE_BYTES)
  /** The list that it was told last. */
  toldList: ToldList | undefined
  readonly #socket: Socket
  /** Since when there is a list that it has not been told, because it has not read the one before. */
  #behindSince: number | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.ip = socket.remoteAddress ?? ''
    this.name = `${socket.remoteAddress}:${socket.remotePort}`
    this.isLocal = isLoopback(socket.remoteAddress ?? '')
  }

  /** Whether it says much and reads nothing. */
  get isClogged(): boolean {
    return this.#socket.writableLength > (this.isKnown ? MAX_WAITING_BYTES : MAX_WAITING_BYTES_OF_STRANGER)
  }

  get isClosed(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded
  }

  /** Whether nothing was heard for so long, or a list has been waiting for so long. */
  isGone(afterMs: number, now: number): boolean {
    const isSilent = !this.isLocal && now - this.heardAt > afterMs
    return isSilent || (this.#behindSince !== undefined && now - this.#behindSince > afterMs)
  }

  /** It was let in: it may say more at a time. */
  admit(): void {
    this.isKnown = true
    this.parser.maxLineBytes = MAX_PEER_LINE_BYTES
  }

  /** Says it, and returns the line without its end. */
  say(message: RegisterMessage): string {
    const line = encodeLine(message)
    this.#socket.write(line)
    return line.slice(0, -1)
  }

  /**
   * Says the list, unless what was said before is still waiting: then what the list is when that has left. So what waits for one that does not
   * read is never more than one list.
   */
  tell(list: () => ToldList): void {
    if (this.#behindSince !== undefined) return
    if (this.#socket.writableLength === 0) {
      this.toldList = list()
      this.#socket.write(this.toldList.line)
      return
    }
    this.#behindSince = performance.now()
    this.#socket.write('', () => {
      this.#behindSince = undefined
      if (!this.isClosed) this.tell(list)
    })
  }

  /** Ends the connection after what was said, if that is read soon. */
  end(): void {
    this.#socket.destroySoon()
    setTimeout(() => this.#socket.destroy(), LAST_WORDS_TIMEOUT_MS).unref()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
