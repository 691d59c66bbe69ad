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
  return { body: toJson(message), flag }
}

function toJson(message: unknown): string {
  let json: string | undefined
  let cause: unknown
  try {
    json = JSON.stringify(message)
  } catch (error) {
    cause = error
  }
  if (json !== undefined) return json
  throw new GatewayWorkerError('BAD_MESSAGE', `a message of type ${typeof message} has no JSON`, { cause })
}
