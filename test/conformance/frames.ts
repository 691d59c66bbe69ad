import { encodeClose, type FrameParts, Opcode } from '../websocket-frame.ts'

/** The frames that cases are made of. */
export const text = (payload: FrameParts['payload'] = ''): FrameParts => ({ opcode: Opcode.TEXT, payload })
export const binary = (payload: FrameParts['payload'] = ''): FrameParts => ({ opcode: Opcode.BINARY, payload })
export const ping = (payload: FrameParts['payload'] = ''): FrameParts => ({ opcode: Opcode.PING, payload })
export const pong = (payload: FrameParts['payload'] = ''): FrameParts => ({ opcode: Opcode.PONG, payload })
export const continuation = (payload: FrameParts['payload'] = ''): FrameParts => ({
  opcode: Opcode.CONTINUATION,
  payload,
})
export const close = (payload: FrameParts['payload'] = ''): FrameParts => ({ opcode: Opcode.CLOSE, payload })
export const withRsv = (frame: FrameParts, rsv: number): FrameParts => ({ ...frame, rsv })
/** A frame that is not its message's last. */
export const unfinished = (frame: FrameParts): FrameParts => ({ ...frame, fin: false })

/** A message in frames of so many bytes each; 0 for one frame. */
export function fragments(message: FrameParts, fragmentBytes: number): FrameParts[] {
  const body = Buffer.from(message.payload ?? '')
  const step = fragmentBytes === 0 ? body.length : fragmentBytes
  const frames: FrameParts[] = [{ ...message, payload: body.subarray(0, step), fin: step >= body.length }]
  for (let at = step; at < body.length; at += step) {
    frames.push({ ...continuation(body.subarray(at, at + step)), fin: at + step >= body.length })
  }
  return frames
}

/** How a connection ends that breaks the protocol (RFC 6455 section 7.4.1). */
export const PROTOCOL_ERROR = [encodeClose(1002)]
/** The same for text that is no UTF-8. */
export const INVALID_TEXT = [encodeClose(1007)]
