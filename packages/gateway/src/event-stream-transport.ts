import { ClientTransport } from './client-transport.ts'
import type { CloseCode } from './close-codes.ts'
import { event, frameEvent } from './event-stream-frame.ts'
import type { OutgoingMessage } from './message.ts'

/** The body of an HTTP response that never ends, whose head has been sent: the client only listens. */
export class EventStreamTransport extends ClientTransport {
  override get isReceiveOnly(): boolean {
    return true
  }

  frame(message: OutgoingMessage): Buffer {
    return message.framedBy(frameEvent)
  }

  /** There is nothing to read; what a client says all the same ends its connection. */
  override pause(): void {}
  override resume(): void {}

  /** The event `close` says what a close frame would: without it the page connects again by itself. */
  close(code: CloseCode, text: string): void {
    this.write(event('close', JSON.stringify({ code, reason: text })))
    this.endSocket()
  }

  destroy(): void {
    this.socket.destroy()
  }
}
