import {
  type Codec,
  GatewayWorkerError,
  isPlainObject,
  MAX_SESSION_BYTES,
  mergeSessions,
  msgpack,
} from '@gatewayworker/protocol'

type SessionMap = Record<string, unknown>

/** Kept as the bytes it was written with; a gateway opens it only to merge. */
export interface StoredSession {
  readonly bytes: Buffer
  readonly codec: Codec
}

/** Stores bytes that came in a frame. */
export function storeSession(bytes: Buffer, codec: Codec = msgpack): StoredSession {
  decodeSession({ bytes, codec })
  return keep(bytes, codec)
}

/** The session with `patch` merged in at every depth: maps merge by key, lists by index, anything else replaces. */
export function mergeSession(stored: StoredSession | undefined, patch: Buffer, codec: Codec = msgpack): StoredSession {
  const merged = mergeSessions(decodeSession(stored), decodeSession({ bytes: patch, codec }))
  return keep(codec.encode(merged), codec)
}

/** The session with some of its top-level keys set and others removed. `patch` is {set: map, unset: list of keys}. */
export function patchSession(stored: StoredSession | undefined, patch: Buffer, codec: Codec = msgpack): StoredSession {
  const { set, unset } = decodeSession({ bytes: patch, codec })
  if (!isPlainObject(set) || !Array.isArray(unset)) {
    throw new GatewayWorkerError('BAD_PARAMETERS', 'a session patch is {set, unset}')
  }
  const session = decodeSession(stored)
  for (const key of unset) delete session[String(key)]
  for (const key of Object.keys(set)) session[key] = set[key]
  return keep(codec.encode(session), codec)
}

/** The copy lets go of the memory that the bytes are a part of. */
function keep(bytes: Buffer, codec: Codec): StoredSession {
  if (bytes.length > MAX_SESSION_BYTES) {
    throw new GatewayWorkerError(
      'BAD_SESSION',
      `a session of ${bytes.length} bytes is longer than ${MAX_SESSION_BYTES}`,
    )
  }
  return { bytes: Buffer.from(bytes), codec }
}

function decodeSession(stored: StoredSession | undefined): SessionMap {
  if (stored === undefined || stored.bytes.length === 0) return {}
  const value = stored.codec.decode(stored.bytes)
  if (!isPlainObject(value)) throw new GatewayWorkerError('BAD_SESSION', 'a session is a map')
  return value
}
