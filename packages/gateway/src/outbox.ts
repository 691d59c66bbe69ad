/**
 * A run of frames that wait for a connection, as a node of a tree: its frame comes after those of its parent. Connections that were sent
 * the same frames since the turn began stand on the same node, so that the run is joined once for all of them.
 */
export class Run {
  readonly byteLength: number
  readonly #frame: Buffer | undefined
  readonly #parent: Run | undefined
  #joined: Buffer | undefined
  /** The run that came of this one last; a broadcast finds it for every member but the first. */
  #next: Run | undefined
  /** The one before: a broadcast to clients of two protocols in turn finds both. */
  #nextBefore: Run | undefined

  constructor(parent?: Run, frame?: Buffer) {
    this.#parent = parent
    this.#frame = frame
    this.byteLength = parent === undefined || frame === undefined ? 0 : parent.byteLength + frame.length
  }

  /** This run with one more frame. The same buffer (not an equal one) leads to the same run. */
  append(frame: Buffer): Run {
    if (this.#next !== undefined && this.#next.#frame === frame) return this.#next
    if (this.#nextBefore !== undefined && this.#nextBefore.#frame === frame) return this.#nextBefore
    this.#nextBefore = this.#next
    this.#next = new Run(this, frame)
    return this.#next
  }

  /** All frames of the run in one buffer, which everybody who stands here shares: nobody may write into it. */
  join(): Buffer {
    if (this.#joined !== undefined) return this.#joined
    const frames: Buffer[] = []
    for (let run: Run | undefined = this; run !== undefined; run = run.#parent) if (run.#frame) frames.push(run.#frame)
    this.#joined = frames.length === 1 ? frames[0]! : Buffer.concat(frames.reverse(), this.byteLength)
    return this.#joined
  }
}

/** A connection with output that waits for the end of the turn. */
export interface Flushable {
  flush(): void
}

/** The output of one turn of the event loop for all connections: each is flushed once, at its end. */
export class Outbox {
  #root = new Run()
  #waiting: Flushable[] = []

  /** Where the output of a connection that has none begins; the connection is flushed at the end of the turn. */
  begin(connection: Flushable): Run {
    if (this.#waiting.push(connection) === 1) setImmediate(this.#flush)
    return this.#root
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    this.#root = new Run()
    for (const connection of waiting) connection.flush()
  }
}
