import type { Session } from '@gatewayworker/gateway-client'
import { checkSession, EMPTY, encodeSession, isPlainObject, mergeSessions, msgpack } from '@gatewayworker/protocol'

/** The keys of a session that a handler changed. */
export interface SessionPatch {
  set: Session
  unset: string[]
}

/**
 * A worker's copy of the session of a client that it serves.
 *
 * ```
 * worker: change ──────────▶ gateway: applies, in the order of arrival ──▶ SESSION_CHANGED (own) ──▶ worker: takes it
 * other:  change ──────────▶          …                                ──▶ SESSION_CHANGED       ──▶ worker: takes it,
 *                                                                   but not while a change of its own is on its way
 * ```
 * The gateway's word is final, and includes the worker's own changes once it has confirmed them; until then the copy here has them already,
 * so that a handler reads what the handler before it wrote.
 */
export class SessionCopy {
  #bytes: Buffer
  #unconfirmed = 0

  constructor(bytes: Buffer) {
    this.#bytes = Buffer.from(bytes)
  }

  /** What it is now, as bytes that never change. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** A fresh object that the caller may change. */
  read(): Session {
    return decode(this.#bytes)
  }

  /** The gateway tells the session; `isOwn` if that confirms a change made here. */
  onChanged(bytes: Buffer, isOwn: boolean): void {
    // What was written on a link that has ended may be confirmed on the next one, whose copy knows nothing of it.
    if (isOwn && this.#unconfirmed > 0) this.#unconfirmed -= 1
    if (this.#unconfirmed === 0) this.#bytes = Buffer.from(bytes)
  }

  /** What was changed from `before`, the bytes of then, to `after`, applied here and to be sent to the gateway; undefined if nothing was. */
  change(before: Buffer, after: Session): SessionPatch | undefined {
    const bytes = encode(after)
    // Most handlers only look: what was read and is written again has the same bytes.
    if (bytes.equals(before)) return undefined
    const patch = diff(decode(before), checkSession(after))
    if (patch === undefined) return undefined
    if (before === this.#bytes && Object.values(after).every((value) => value !== undefined)) {
      this.#bytes = Buffer.from(bytes)
      this.#unconfirmed += 1
      return patch
    }
    const session = this.read()
    for (const key of patch.unset) delete session[key]
    this.#write({ ...session, ...patch.set })
    return patch
  }

  /** A change was sent to the gateway with the flag OWN_CHANGE. */
  onWritten(kind: 'replace' | 'merge', session: Session): void {
    this.#write(kind === 'replace' ? session : mergeSessions(this.read(), session))
  }

  #write(session: Session): void {
    this.#bytes = Buffer.from(encode(session))
    this.#unconfirmed += 1
  }
}

function diff(before: Session, after: Session): SessionPatch | undefined {
  const set: Session = {}
  const unset = Object.keys(before).filter((key) => after[key] === undefined)
  for (const [key, value] of Object.entries(after)) {
    if (value !== undefined && !isSame(before[key], value)) set[key] = value
  }
  return unset.length === 0 && Object.keys(set).length === 0 ? undefined : { set, unset }
}

/** Whether two values have the same bytes; the order of keys counts. */
function isSame(before: unknown, after: unknown): boolean {
  if (typeof after !== 'object' || after === null) return Object.is(before, after)
  if (Array.isArray(before) && Array.isArray(after)) {
    return before.length === after.length && before.every((item, at) => isSame(item, after[at]))
  }
  if (!isPlainObject(before) || !isPlainObject(after)) return msgpack.encode(before).equals(msgpack.encode(after))
  const keys = Object.keys(before)
  const keysAfter = Object.keys(after)
  return (
    keys.length === keysAfter.length &&
    keys.every((key, at) => key === keysAfter[at] && isSame(before[key], after[key]))
  )
}

/** A view into a larger buffer, or none. */
function encode(session: Session): Buffer {
  const bytes = encodeSession(session)
  return Object.keys(session).length === 0 ? EMPTY : bytes
}

function decode(bytes: Buffer): Session {
  return bytes.length === 0 ? {} : (msgpack.decode(bytes) as Session)
}
