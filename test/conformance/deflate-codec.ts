import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib'

/** What RFC 7692 section 7.2.1 takes from the end of a compressed message. */
const TAIL = Buffer.of(0, 0, 255, 255)

/** A client's side of permessage-deflate (RFC 7692), which keeps to what was agreed on and finds out whether the server does. */
export class DeflateCodec {
  readonly #agreed: ReadonlyMap<string, string | undefined>
  #deflate: DeflateRaw | undefined
  #inflate: InflateRaw | undefined

  /** `extensions` is the server's answer; throws if that is no permessage-deflate. */
  constructor(extensions: string) {
    const [name, ...parameters] = extensions.split(/; */)
    if (name !== 'permessage-deflate') throw new Error(`no permessage-deflate was agreed on: "${extensions}"`)
    this.#agreed = new Map(parameters.map((parameter) => parameter.split('=') as [string, string | undefined]))
  }

  async compress(message: Buffer): Promise<Buffer> {
    if (this.#agreed.has('client_no_context_takeover')) this.#deflate = undefined
    this.#deflate ??= createDeflateRaw({ windowBits: this.#windowBits('client_max_window_bits') })
    return (await flush(this.#deflate, message)).subarray(0, -TAIL.length)
  }

  /** Rejects if the server used a wider window, or more of what it said before, than was agreed on. */
  async decompress(payload: Buffer): Promise<Buffer> {
    if (this.#agreed.has('server_no_context_takeover')) this.#inflate = undefined
    this.#inflate ??= createInflateRaw({ windowBits: this.#windowBits('server_max_window_bits') })
    return flush(this.#inflate, Buffer.concat([payload, TAIL]))
  }

  #windowBits(parameter: string): number {
    return Number(this.#agreed.get(parameter) ?? 15)
  }
}

/** What comes out of a stream for these bytes. */
async function flush(stream: DeflateRaw | InflateRaw, bytes: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = []
  const collect = (chunk: Buffer) => chunks.push(chunk)
  stream.on('data', collect)
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject)
    stream.write(bytes)
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off('error', reject)
      resolve()
    })
  })
  stream.off('data', collect)
  return Buffer.concat(chunks)
}
