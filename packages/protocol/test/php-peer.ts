import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('fixtures/php-peer.php', import.meta.url))
const LENGTH_BYTES = 4

export const hasPhp = spawnSync('php', ['-v']).status === 0

/** One real `php` that answers questions about what it makes of values, one after the other; see fixtures/php-peer.php. */
export class PhpPeer {
  // -n: PHP's own defaults, whatever the machine's php.ini says.
  readonly #process = spawn('php', ['-n', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  readonly #exited = once(this.#process, 'exit')
  readonly #waiting: ((answer: Buffer) => void)[] = []
  #received = Buffer.alloc(0)

  constructor() {
    this.#process.stdout.on('data', (chunk) => this.#onData(chunk))
  }

  /** What PHP answers, or undefined if it refuses. */
  async ask(operation: 'a' | 'd' | 'j' | 'k' | 'm' | 'p' | 's' | 'u', bytes: Uint8Array): Promise<Buffer | undefined> {
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(bytes.length + 1)
    this.#process.stdin.write(Buffer.concat([length, Buffer.from(operation), bytes]))
    const answered = new Promise<Buffer>((resolve) => this.#waiting.push(resolve))
    const answer = await Promise.race([answered, this.#exited])
    if (!Buffer.isBuffer(answer)) throw new Error('php ended before it answered; what it printed says why')
    return answer[0] === 1 ? answer.subarray(1) : undefined
  }

  async stop(): Promise<void> {
    this.#process.stdin.end()
    await this.#exited
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (const answer of takePieces(this.#received)) {
      this.#received = this.#received.subarray(LENGTH_BYTES + answer.length)
      this.#waiting.shift()?.(answer)
    }
  }
}

/** The pieces in the bytes that are complete, each after its length. */
export function takePieces(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  while (bytes.length - at >= LENGTH_BYTES) {
    const end = at + LENGTH_BYTES + bytes.readUInt32BE(at)
    if (end > bytes.length) break
    pieces.push(bytes.subarray(at + LENGTH_BYTES, end))
    at = end
  }
  return pieces
}
