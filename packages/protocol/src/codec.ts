import { Packr } from 'msgpackr'
import { GatewayWorkerError } from './errors.ts'

/** How values (sessions, answers, handshake requests) are written on a link. */
export interface Codec {
  readonly name: string
  encode(value: unknown): Buffer
  /** The value, with maps as plain objects. Throws BAD_VALUE on anything but exactly one value. */
  decode(bytes: Uint8Array): unknown
}

// Records are an extension only msgpackr reads; plain maps can be read by anyone who looks at the wire.
const plainObjects = new Packr({ useRecords: false, moreTypes: false })
const keyedMaps = new Packr({ useRecords: false, moreTypes: false, mapsAsObjects: false })

/** msgpack, the codec of the native dialect. */
export const msgpack: Codec = {
  name: 'msgpack',
  encode: (value) => plainObjects.pack(value),
  decode: (bytes) => decodeWith(plainObjects, bytes),
}

/** Decodes an answer, whose maps have keys that are data (ids, uids, groups): they come out as Maps, in order. */
export function decodeAnswer(bytes: Uint8Array): unknown {
  return decodeWith(keyedMaps, bytes)
}

function decodeWith(packr: Packr, bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new GatewayWorkerError('BAD_VALUE', `not a msgpack value: ${(cause as Error).message}`, { cause })
  }
}

/** Whether a decoded value is a map and not a list, null, Date, Buffer or another built-in. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
