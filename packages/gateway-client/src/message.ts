import { isAnyArrayBuffer, isBoxedPrimitive, isMap, isNativeError, isSet } from 'node:util/types'
import { Flag, GatewayWorkerError } from '@gatewayworker/protocol'

/**
 * What can be sent to clients: text; bytes, in whatever holds them (a binary message); or anything else that JSON can hold, which is sent as
 * JSON text. Maps, Sets, Blobs, promises and functions are left out: JSON would empty them.
 */
export type Message = string | number | boolean | null | ArrayBuffer | SharedArrayBuffer | ArrayBufferView | JsonObject

/** Objects and arrays, instances with fields or a toJSON of their own included; but nothing that has a tag, and no function. */
interface JsonObject {
  // biome-ignore lint/suspicious/noExplicitAny: with unknown, the objects of an interface would not fit
  readonly [key: string]: any
  readonly [Symbol.hasInstance]?: never
  readonly [Symbol.toStringTag]?: never
  /** Blobs and responses have one. */
  readonly arrayBuffer?: never
}

/** A message as a frame carries it. */
export interface EncodedMessage {
  readonly body: string | Uint8Array
  readonly flag: number
}

/** Deeper values are looked at by JSON.stringify itself, which finds out whether they hold themselves. */
const MAX_PLAIN_DEPTH = 64
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/

/** The body and flag of a send, or BAD_MESSAGE; `options` is whether to send raw, by itself or among others. */
export function encodeMessage(message: Message, options?: boolean | { raw?: boolean }): EncodedMessage {
  const raw = typeof options === 'object' ? options.raw : options
  const flag = raw ? Flag.SCALAR | Flag.RAW : Flag.SCALAR
  if (typeof message === 'string') return { body: message, flag }
  if (message instanceof Uint8Array) return { body: message, flag: flag | Flag.BINARY }
  if (ArrayBuffer.isView(message)) {
    const { buffer, byteLength, byteOffset } = message
    return { body: Buffer.from(buffer, byteOffset, byteLength), flag: flag | Flag.BINARY }
  }
  if (isAnyArrayBuffer(message)) return { body: Buffer.from(message), flag: flag | Flag.BINARY }
  return { body: toJson(message), flag }
}

function toJson(message: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(message, isPlain(message, 0) ? undefined : createReplacer())
  } catch (cause) {
    if (cause instanceof GatewayWorkerError) throw cause
    throw new GatewayWorkerError('BAD_MESSAGE', `the message has no JSON: ${(cause as Error)?.message}`, { cause })
  }
  if (json !== undefined) return json
  throw new GatewayWorkerError('BAD_MESSAGE', `a message of type ${typeof message} has no JSON`)
}

/** Whether the value surely is what JSON can hold: then it need not be looked at by a replacer, which makes JSON.stringify slow. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function'
  if (depth === MAX_PLAIN_DEPTH) return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Array.prototype) {
    for (const item of value as unknown[]) if (!isPlain(item, depth + 1)) return false
    return true
  }
  if (prototype !== Object.prototype && prototype !== null) return prototype === Date.prototype
  for (const key of Object.keys(value)) {
    if (!isPlain((value as Record<string, unknown>)[key], depth + 1)) return false
  }
  return true
}

/** Has JSON.stringify leave every value as it is, and throw BAD_MESSAGE at one that JSON would empty or take apart. */
function createReplacer(): (this: unknown, key: string, value: unknown) => unknown {
  const paths = new Map<unknown, string>()
  return function (key, value) {
    if (typeof value !== 'object' || value === null) return value
    const around = paths.get(this)
    const path = around === undefined ? 'message' : `${around}${formatKey(this, key)}`
    if (isLostInJson(value)) throw lost(path, value)
    paths.set(value, path)
    return value
  }
}

/** Whether JSON keeps nothing of an object, or nothing that makes sense: bytes as a map of numbers, an error without its message. */
function isLostInJson(value: object): boolean {
  if (ArrayBuffer.isView(value) || isMap(value) || isSet(value) || isNativeError(value)) return true
  if (Array.isArray(value) || isBoxedPrimitive(value)) return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return false // a plain object
  return Object.keys(value).length === 0
}

function lost(path: string, value: object): GatewayWorkerError {
  const name = value.constructor?.name || 'a class without a name'
  const reason = `${path} is an instance of ${name}, of which JSON keeps nothing of use; send its contents as plain data`
  return new GatewayWorkerError('BAD_MESSAGE', reason)
}

function formatKey(holder: unknown, key: string): string {
  if (Array.isArray(holder)) return `[${key}]`
  return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}
