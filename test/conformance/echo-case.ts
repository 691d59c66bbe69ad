import { expect } from 'vitest'
import { type Chop, RawWebSocket } from '../raw-web-socket.ts'
import { encodeClose, type FrameParts, Opcode, type ServerFrame } from '../websocket-frame.ts'
import { DeflateCodec } from './deflate-codec.ts'
import { fragments } from './frames.ts'

/** Messages that are sent one by one, each when the echo of the one before has come. */
export interface EchoCase {
  chop?: Chop
  /** The messages' bodies, made when they are needed. */
  bodies(): Iterable<Buffer>
  /** 0 for one frame a message. */
  fragmentBytes: number
  id: string
  isBinary: boolean
  /** The permessage-deflate that the client asks for; undefined for none. */
  offer?: string
}

/** From this length on a message of the gateway has to be compressed, if compression was agreed on. */
const COMPRESSED_FROM_BYTES = 1024
const RSV1 = 4

/** How many messages a case sends: fewer than in the suite, where nothing but time is won by more. */
export function messageCount(usual: number): number {
  return Number(process.env.CONFORMANCE_MESSAGES ?? usual)
}

/** Plays a case against the gateway behind a port. */
export async function playEchoes(
  port: string,
  { bodies, chop, fragmentBytes, isBinary, offer }: EchoCase,
): Promise<void> {
  const client = await RawWebSocket.open(port, offer === undefined ? {} : { 'Sec-WebSocket-Extensions': offer })
  const codec = offer === undefined ? undefined : new DeflateCodec(client.extensions)
  const opcode = isBinary ? Opcode.BINARY : Opcode.TEXT
  for (const body of bodies()) {
    const message =
      codec === undefined ? { opcode, payload: body } : { opcode, payload: await codec.compress(body), rsv: RSV1 }
    await client.send(fragments(message, fragmentBytes), chop)
    await checkEcho(await client.next(), opcode, body, codec)
  }
  await client.send([{ opcode: Opcode.CLOSE, payload: encodeClose(1000) }])
  expect(await client.rest()).toEqual([{ fin: true, opcode: Opcode.CLOSE, payload: encodeClose(1000), rsv: 0 }])
}

async function checkEcho(
  { fin, opcode, payload, rsv }: ServerFrame,
  expectedOpcode: FrameParts['opcode'],
  body: Buffer,
  codec: DeflateCodec | undefined,
): Promise<void> {
  const mustBeCompressed = codec !== undefined && body.length >= COMPRESSED_FROM_BYTES
  const isCompressed = codec !== undefined && rsv === RSV1
  expect({ fin, opcode, rsv }).toEqual({
    fin: true,
    opcode: expectedOpcode,
    rsv: mustBeCompressed || isCompressed ? RSV1 : 0,
  })
  const received = isCompressed ? await codec.decompress(payload) : payload
  // Not toEqual, which takes its time for megabytes.
  expect(received.equals(body), `the echo of ${body.length} bytes has ${received.length}`).toBe(true)
}
