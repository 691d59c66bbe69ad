import { type Codec, isPlainObject, msgpack } from './codec.ts'
import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY } from './frame.ts'
import { changePhpArray, mergePhpArrays } from './php-array.ts'
import { phpLossless, phpSerialize } from './php-codec.ts'
import { checkSession } from './session-values.ts'

/** The longest session, in bytes: it must fit into a frame, with room for what travels beside it. */
export const MAX_SESSION_BYTES = DEFAULT_MAX_FRAME_BYTES / 2

type SessionMap = Record<string, unknown>

/** A session as the bytes that it was written with; none are no session. */
export interface EncodedSession {
  readonly bytes: Buffer
  readonly codec: Codec
}

/** The session as it travels between our own processes. Throws BAD_SESSION. */
export function encodeSession(session: SessionMap): Buffer {
  const bytes = encodeOrRefuse(checkSession(session))
  if (bytes.length <= MAX_SESSION_BYTES) return bytes
  throw new GatewayWorkerError('BAD_SESSION', `a session of ${bytes.length} bytes is longer than ${MAX_SESSION_BYTES}`)
}

function encodeOrRefuse(session: SessionMap): Buffer {
  try {
    return msgpack.encode(session)
  } catch (cause) {
    const reason = (cause as Error).message
    throw new GatewayWorkerError('BAD_SESSION', `the session cannot be encoded: ${reason}`, { cause })
  }
}

/** The session as a plain object. Throws BAD_VALUE or BAD_SESSION. */
export function decodeSession({ bytes, codec }: EncodedSession): SessionMap {
  if (bytes.length === 0) return {}
  const value = codec.decode(bytes)
  const session = codec === phpSerialize ? toPlainObject(value) : value
  if (isPlainObject(session)) return session
  throw new GatewayWorkerError('BAD_SESSION', 'a session is a map')
}

/**
 * A decoded PHP array as a plain object, though it has an order that this cannot hold, or looks like a list; undefined if it is none.
 * Its keys are texts at every depth: readers of msgpack take no others.
 */
export function toPlainObject(value: unknown): SessionMap | undefined {
  if (Array.isArray(value)) return { ...value.map(withTextKeys) }
  const entries = value instanceof Map ? [...value] : isPlainObject(value) ? Object.entries(value) : undefined
  return entries && Object.fromEntries(entries.map(([key, item]) => [String(key), withTextKeys(item)]))
}

function withTextKeys(value: unknown): unknown {
  return Array.isArray(value) ? value.map(withTextKeys) : (toPlainObject(value) ?? value)
}

/** The session's bytes in another codec. Throws BAD_VALUE or BAD_SESSION. */
export function translateSession(session: EncodedSession, codec: Codec): Buffer {
  if (session.codec === codec || session.bytes.length === 0) return session.bytes
  const value = decodeSession(session)
  return Object.keys(value).length === 0 ? EMPTY : codec.encode(value)
}

/**
 * What UPDATE_SESSION does. Between our own processes maps merge by key at every depth, lists by index, and anything else replaces; where
 * PHP has written one of the two, PHP's rule holds and the result is PHP's, since nothing of it may be lost.
 */
export function mergeEncodedSessions(base: EncodedSession, patch: EncodedSession): EncodedSession {
  if (base.codec === msgpack && patch.codec === msgpack) {
    return { bytes: msgpack.encode(mergeSessions(decodeSession(base), decodeSession(patch))), codec: msgpack }
  }
  const merged = mergePhpArrays(decodePhpArray(base), decodePhpArray(patch))
  return { bytes: phpLossless.encode(merged), codec: phpSerialize }
}

/** What PATCH_SESSION does: sets some top-level keys and removes others; all others stay as they were written. */
export function patchEncodedSession(base: EncodedSession, set: SessionMap, unset: readonly string[]): EncodedSession {
  if (base.codec === phpSerialize) {
    return { bytes: phpLossless.encode(changePhpArray(decodePhpArray(base), set, unset)), codec: phpSerialize }
  }
  const session = decodeSession(base)
  for (const key of unset) delete session[key]
  return { bytes: msgpack.encode({ ...session, ...set }), codec: msgpack }
}

/** Merges at every depth: maps by key, lists by index, anything else replaces. */
export function mergeSessions(base: SessionMap, patch: SessionMap): SessionMap {
  const merged: SessionMap = { ...base }
  for (const key of Object.keys(patch)) merged[key] = mergeValues(merged[key], patch[key])
  return merged
}

function mergeValues(base: unknown, patch: unknown): unknown {
  if (isPlainObject(base) && isPlainObject(patch)) return mergeSessions(base, patch)
  if (!Array.isArray(base) || !Array.isArray(patch)) return patch
  const length = Math.max(base.length, patch.length)
  return Array.from({ length }, (_, at) => (at in patch ? mergeValues(base[at], patch[at]) : base[at]))
}

/** Opens it so that it can be written again byte for byte. */
function decodePhpArray(session: EncodedSession): unknown {
  const bytes = translateSession(session, phpSerialize)
  return bytes.length === 0 ? [] : phpLossless.decode(bytes)
}
