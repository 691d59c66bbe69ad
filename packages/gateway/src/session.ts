import {
  type Codec,
  decodeSession,
  EMPTY,
  type EncodedSession,
  GatewayWorkerError,
  isPlainObject,
  MAX_SESSION_BYTES,
  mergeEncodedSessions,
  msgpack,
  patchEncodedSession,
  translateSession,
} from '@gatewayworker/protocol'

/** Kept as the bytes it was written with; a gateway opens it only to merge, and to tell it to a reader of another codec. */
export class StoredSession implements EncodedSession {
  readonly bytes: Buffer
  readonly codec: Codec
  /** For the reader of the other codec, who may want it with every event. */
  #translation: EncodedSession | undefined

  /** Copies the bytes, which lets go of the memory that they are a part of. Throws BAD_SESSION if they are too many. */
  constructor({ bytes, codec }: EncodedSession) {
    checkLength(bytes)
    this.bytes = Buffer.from(bytes)
    this.codec = codec
  }

  /** The session in a codec; empty where it cannot be told, of which `onError` hears once. */
  in(codec: Codec, onError: (error: unknown) => void): Buffer {
    if (codec === this.codec) return this.bytes
    if (this.#translation?.codec === codec) return this.#translation.bytes
    this.#translation = { bytes: this.#translate(codec, onError), codec }
    return this.#translation.bytes
  }

  #translate(codec: Codec, onError: (error: unknown) => void): Buffer {
    try {
      const bytes = translateSession(this, codec)
      checkLength(bytes) // one format may be many times as long as the other
      return bytes
    } catch (error) {
      onError(error)
      return EMPTY
    }
  }
}

/** A session that is too long fits into no frame, nor do the events that it travels with. */
function checkLength({ length }: Buffer): void {
  if (length <= MAX_SESSION_BYTES) return
  throw new GatewayWorkerError('BAD_SESSION', `a session of ${length} bytes is longer than ${MAX_SESSION_BYTES}`)
}

/** Stores bytes that came in a frame. What PHP wrote is PHP's business; ours must be a map. */
export function storeSession(_old: StoredSession | undefined, session: EncodedSession): StoredSession {
  if (session.codec === msgpack) decodeSession(session)
  return new StoredSession(session)
}

/** The session with a map merged in at every depth, by PHP's rule if PHP has written one of the two. */
export function mergeSession(old: StoredSession | undefined, patch: EncodedSession): StoredSession {
  return new StoredSession(mergeEncodedSessions(old ?? { bytes: EMPTY, codec: patch.codec }, patch))
}

/** The session with some of its top-level keys set and others removed. `patch` is {set: map, unset: list of keys}. */
export function patchSession(old: StoredSession | undefined, patch: EncodedSession): StoredSession {
  const { set, unset } = decodeSession(patch)
  if (!isPlainObject(set) || !Array.isArray(unset)) {
    throw new GatewayWorkerError('BAD_PARAMETERS', 'a session patch is {set, unset}')
  }
  return new StoredSession(patchEncodedSession(old ?? { bytes: EMPTY, codec: patch.codec }, set, unset.map(String)))
}
