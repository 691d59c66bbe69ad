import {
  Command,
  decodeUidHashes,
  type Frame,
  type GatewayLink,
  type GatewayWorkerError,
  UID_LEASE_MS,
  UidFilter,
  type UidHash,
} from '@gatewayworker/protocol'

/** A uid, and what stands for it in filters. */
export interface HashedUid {
  readonly hash: UidHash
  readonly uid: string
}

/**
 * Which uids a gateway may hold, as far as it has told on the link of now.
 *
 * Invariant: `mayHold` is true of each uid that the gateway holds, if its binding was told or awaited before by anyone, or was ordered before
 * on this link, answered or not.
 */
export class WatchedUids {
  /** Uids of which the gateway has not answered an order of ours to bind them, and how many. */
  readonly #ordered = new Map<string, number>()
  #doubts = 0
  #filter: UidFilter | undefined
  /** Until then the gateway sees to it that the filter lacks nothing, as `performance.now()` tells it. */
  #leaseEnd = 0

  /** False if the gateway surely has no client of the uid. `now` is `performance.now()`. */
  mayHold({ hash, uid }: HashedUid, now: number): boolean {
    if (this.#filter === undefined || now >= this.#leaseEnd || this.#filter.mayHave(hash)) return true
    return this.#ordered.size > 0 && this.#ordered.has(uid)
  }

  /** Asks the gateway to see to it for another while. */
  async watch(link: GatewayLink): Promise<void> {
    const askedAt = performance.now()
    const doubts = this.#doubts
    const isGranted = await link.ask(Command.WATCH_UIDS, UID_LEASE_MS).catch(() => false)
    if (isGranted === true && doubts === this.#doubts) this.#leaseEnd = askedAt + UID_LEASE_MS
  }

  /**
   * `answer` is what comes of an order to bind the uid, and `linkOf` tells on which link it was sent, if it was. Resolves when the answer is there, or will
   * not come: like any order, one that gets lost with its link is no error.
   */
  async onOrder(uid: string, answer: Promise<unknown>, linkOf: () => GatewayLink | undefined): Promise<void> {
    this.#ordered.set(uid, (this.#ordered.get(uid) ?? 0) + 1)
    try {
      await answer
    } catch (error) {
      const link = linkOf()
      // It may be carried out yet; until the link ends the uid is looked for there.
      if (link !== undefined && ((error as GatewayWorkerError).code === 'QUESTION_TIMED_OUT' || link.isClosed)) return
      this.#onSettled(uid)
      throw error
    }
    this.#onSettled(uid)
  }

  /** Takes what the gateway tells of its uids; false if a frame is about something else. Throws BAD_PARAMETERS. */
  onFrame(frame: Frame, link: GatewayLink): boolean {
    switch (frame.command) {
      case Command.UID_FILTER:
        this.#filter = UidFilter.from(frame.ext)
        break
      case Command.UID_FILTER_ADD:
        for (const hash of decodeUidHashes(frame.ext)) this.#filter?.add(hash)
        break
      default:
        return false
    }
    link.send(Command.UID_FILTER_ACK, 0, 0, '', frame.body)
    return true
  }

  /** The lease may have ended without our noticing: the filter does not count before the gateway grants another. */
  doubt(): void {
    this.#doubts += 1
    this.#leaseEnd = 0
  }

  /** The link has ended: what comes next is told on another. */
  forget(): void {
    this.#filter = undefined
    this.#leaseEnd = 0
    this.#ordered.clear()
  }

  #onSettled(uid: string): void {
    const count = this.#ordered.get(uid)
    if (count === undefined) return // the link has ended meanwhile
    if (count === 1) this.#ordered.delete(uid)
    else this.#ordered.set(uid, count - 1)
  }
}
