import { msgpack } from './codec.ts'
import { Command } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import { EMPTY } from './frame.ts'
import { phpSerialize } from './php-codec.ts'
import { translateSession } from './sessions.ts'

type Read = (value: unknown) => unknown
/** A session's bytes in PHP's format as bytes in ours. */
type ReadSession = (bytes: Buffer) => Buffer

const readers: Readonly<Record<number, (value: unknown, readSession: ReadSession) => unknown>> = {
  [Command.BATCH_GET_CLIENT_COUNT_BY_GROUP]: (value) => mapOf(value, String, Number),
  [Command.BATCH_GET_CLIENT_ID_BY_UID]: (value) => mapOf(value, String, readConnectionIds),
  [Command.GET_ALL_CLIENT_SESSIONS]: readSessions,
  [Command.GET_CLIENT_COUNT_BY_GROUP]: Number,
  [Command.GET_CLIENT_ID_BY_UID]: readConnectionIds,
  [Command.GET_CLIENT_SESSIONS_BY_GROUP]: readSessions,
  [Command.GET_GROUP_ID_LIST]: (value) => valuesOf(value).map(String),
  [Command.IS_ONLINE]: Number,
  [Command.SELECT]: (value, readSession) => mapOf(value, Number, (row) => readFields(row, readSession)),
}

const fieldReaders: Readonly<Record<string, (value: unknown, readSession: ReadSession) => unknown>> = {
  groups: (value) => mapOf(value, String, String),
  session: (value, readSession) => readSession(bytesOf(value)),
  uid: (value) => (value === null ? null : String(value)),
}

/**
 * What a legacy gateway answered, as a native one would have said it. `readSession` reads the sessions of many clients, of which one may be
 * unreadable. Throws BAD_VALUE or BAD_SESSION.
 */
export function readLegacyAnswer(command: number, bytes: Buffer, readSession: ReadSession): unknown {
  // That answer is the session itself.
  if (command === Command.GET_SESSION_BY_CLIENT_ID) {
    return isNull(bytes) ? null : translateSession({ bytes, codec: phpSerialize }, msgpack)
  }
  const read = readers[command]
  if (read === undefined) throw new GatewayWorkerError('BAD_PARAMETERS', `command ${command} is no question`)
  return read(phpSerialize.decode(bytes), readSession)
}

/** Whether an answer is PHP's null. */
export function isNull(bytes: Buffer): boolean {
  return bytes.equals(phpSerialize.encode(null))
}

function readSessions(value: unknown, readSession: ReadSession): Map<number, unknown> {
  return mapOf(value, Number, (session) => readSession(bytesOf(session)))
}

function readFields(value: unknown, readSession: ReadSession): Map<string, unknown> {
  return new Map(
    entriesOf(value).map(([name, field]) => [String(name), fieldReaders[String(name)]?.(field, readSession)]),
  )
}

/** The bytes of a decoded PHP string; none if it is something else. */
function bytesOf(value: unknown): Buffer {
  return typeof value === 'string' || value instanceof Uint8Array ? Buffer.from(value as string) : EMPTY
}

function readConnectionIds(value: unknown): number[] {
  return valuesOf(value).map(Number)
}

function mapOf<Key>(value: unknown, readKey: (key: unknown) => Key, read: Read): Map<Key, unknown> {
  return new Map(entriesOf(value).map(([key, item]) => [readKey(key), read(item)]))
}

function valuesOf(value: unknown): unknown[] {
  return entriesOf(value).map(([, item]) => item)
}

/** The entries of a decoded PHP array, whatever it looks like; PHP's null has none. */
function entriesOf(value: unknown): [key: unknown, value: unknown][] {
  if (typeof value !== 'object' || value === null) return []
  return value instanceof Map ? [...value] : Object.entries(value)
}
