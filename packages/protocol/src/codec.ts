import { C1, Packr } from 'msgpackr'
import { GatewayWorkerError } from './errors.ts'

/** How values (sessions, answers, handshake requests) are written on a link. */
export interface Codec {
  readonly name: string
  encode(value: unknown): Buffer
  /** The value, with maps as plain objects. Throws BAD_VALUE on anything but exactly one value. */
  decode(bytes: Uint8Array): unknown
}

/** The byte that msgpack never uses; msgpackr reads it as a value of its own. */
const NEVER_USED = 0xc1

// Records are an extension only msgpackr reads; plain maps can be read by anyone who looks at the wire. Structured clones are one
// too, and could make a value that holds itself.
const PLAIN = { useRecords: false, moreTypes: false, structuredClone: false }
// Bytes in a session are changed in place, and kept: they must be no view of what they were decoded from.
const plainObjects = new Packr({ ...PLAIN, copyBuffers: true })
const keyedMaps = new Packr({ ...PLAIN, mapsAsObjects: false })

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
    const value = packr.unpack(bytes)
    // Few values have the byte in a number or in binary data; only those are looked through.
    if (bytes.includes(NEVER_USED) && holdsNeverUsed(value)) throw new Error('the byte 0xC1 stands for no value')
    return value
  } catch (cause) {
    throw new GatewayWorkerError('BAD_VALUE', `not a msgpack value: ${(cause as Error).message}`, { cause })
  }
}

function holdsNeverUsed(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value === C1) return true
  if (Array.isArray(value) || value instanceof Set) return [...value].some(holdsNeverUsed)
  if (value instanceof Map) return [...value.keys(), ...value.values()].some(holdsNeverUsed)
  return isPlainObject(value) && Object.values(value).some(holdsNeverUsed)
}

/** Whether a decoded value is a map and not a list, null, Date, Buffer or another built-in. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
