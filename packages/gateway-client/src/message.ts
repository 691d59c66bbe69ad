import { Flag, GatewayWorkerError } from '@gatewayworker/protocol'

/** What can be sent to clients: text, bytes (a binary frame), or anything else that JSON can hold, which is sent as JSON text. */
export type Message = string | Uint8Array | number | boolean | null | object

/** A message as a frame carries it. */
export interface EncodedMessage {
  readonly body: string | Uint8Array
  readonly flag: number
}

/** The body and flag of a send, or BAD_MESSAGE; `options` is whether to send raw, by itself or among others. */
export function encodeMessage(message: Message, options?: boolean | { raw?: boolean }): EncodedMessage {
  const raw = typeof options === 'object' ? options.raw : options
  const flag = raw ? Flag.SCALAR | Flag.RAW : Flag.SCALAR
  if (typeof message === 'string') return { body: message, flag }
  if (message instanceof Uint8Array) return { body: message, flag: flag | Flag.BINARY }
  const body = JSON.stringify(message)
  if (body === undefined) throw new GatewayWorkerError('BAD_MESSAGE', `a message of type ${typeof message} has no JSON`)
  return { body, flag }
}
