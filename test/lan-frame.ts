import { createHash, createHmac } from 'node:crypto'

const HEADER_BYTES = 28

/** Commands of the LAN port that tests speak themselves (see packages/protocol/README.md). */
export const LanCommand = {
  hello: 100,
  refused: 101,
  challenge: 120,
  proof: 121,
  isOnline: 11,
  sendToAll: 6,
  worker: 200,
  backend: 202,
} as const

export interface LanFrameParts {
  body?: Buffer | string
  command: number
  ext?: string
  /** Where the header is to lie. */
  extLength?: number
  id?: number
  length?: number
}

/** A frame as it stands on the wire, built without the package that is tested. */
export function lanFrame({ body = '', command, ext = '', extLength, id = 0, length }: LanFrameParts): Buffer {
  const payload = Buffer.concat([Buffer.from(ext), Buffer.from(body)])
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(length ?? HEADER_BYTES + payload.length, 0)
  header.writeUInt8(command, 4)
  header.writeUInt32BE(id, 5)
  header.writeUInt8(1, 21)
  header.writeUInt32BE(extLength ?? Buffer.byteLength(ext), 24)
  return Buffer.concat([header, payload])
}

/** What a worker or backend says first where there is a secret, to a gateway that is announced as `to`. */
export function helloFrame(command: number, to: string): Buffer {
  return lanFrame({ command, body: helloBody(to) })
}

const helloBody = (to: string): string =>
  JSON.stringify({
    worker_key: 'Test:0',
    secret_key: false,
    native: { version: 4, instance: '0123456789abcdef', nonce: '00'.repeat(32), to },
  })

/** What it says then, to the CHALLENGE that it got. */
export function proofFrame(command: number, to: string, secretKey: string, challenge: Buffer): Buffer {
  const parts = [String(command), helloBody(to), challenge.subarray(HEADER_BYTES)]
  const hmac = createHmac('sha256', secretKey).update('gatewayworker-link-dialer\0')
  for (const part of parts) hmac.update(createHash('sha256').update(part).digest())
  return lanFrame({ command: LanCommand.proof, body: hmac.digest() })
}

/** The command of the first frame in a buffer; undefined while it is not complete. */
export function commandOf(bytes: Buffer): number | undefined {
  return bytes.length >= HEADER_BYTES && bytes.length >= bytes.readUInt32BE(0) ? bytes[4] : undefined
}
