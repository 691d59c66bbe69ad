import { expect } from 'vitest'
import { type Chop, RawWebSocket } from '../raw-web-socket.ts'
import { encodeClose, type FrameParts, Opcode, type ServerFrame } from '../websocket-frame.ts'

/** What a client says, and what the gateway must make of it. */
export interface ScriptedCase {
  /** The frames that come back, in this order. */
  answers?: readonly FrameParts[]
  /** How the bytes of `frames` and `later` are cut. */
  chop?: Chop
  /**
   * The bodies of a close frame one of which must end the connection; answers may then be missing, since the gateway need not wait for
   * a worker before it fails a connection. Without it the client says goodbye after the answers, and the gateway has to return that.
   */
  ends?: readonly Buffer[]
  frames: readonly FrameParts[]
  /** The case's number in the Autobahn test suite. */
  id: string
  /** What the client says when the first answer has come. */
  later?: readonly FrameParts[]
}

const GOODBYE = encodeClose(1000)

/** Plays a case against the gateway behind a port. */
export async function playScript(
  port: string,
  { answers = [], chop, ends, frames, later }: ScriptedCase,
): Promise<void> {
  const client = await RawWebSocket.open(port)
  await client.send(frames, chop)
  if (ends !== undefined) {
    const received = (await client.rest()).map(describe)
    expect(ends.map((payload) => describe({ opcode: Opcode.CLOSE, payload }))).toContain(received.pop())
    expect(received).toEqual(answers.slice(0, received.length).map(describe))
    return
  }
  for (const [index, answer] of answers.entries()) {
    expect(describe(await client.next())).toBe(describe(answer))
    if (index === 0 && later !== undefined) await client.send(later, chop)
  }
  await client.send([{ opcode: Opcode.CLOSE, payload: GOODBYE }])
  expect((await client.rest()).map(describe)).toEqual([describe({ opcode: Opcode.CLOSE, payload: GOODBYE })])
}

/** All that counts of a frame, in a line. */
function describe({ fin = true, opcode, payload = '', rsv = 0 }: FrameParts | ServerFrame): string {
  return `${fin ? '' : 'fragment, '}opcode ${opcode}, rsv ${rsv}: ${Buffer.from(payload).toString('hex')}`
}
