import {
  Command,
  encodeUidHashes,
  GatewayWorkerError,
  hashUid,
  type Link,
  msgpack,
  UID_LEASE_MS,
  UidFilter,
  type UidHash,
} from '@gatewayworker/protocol'
import type { UidListener } from './hub.ts'

/** Where the uids of a gateway's clients are kept. */
export interface BoundUids {
  readonly uidCount: number
  uids(): Iterable<string>
}

/** What is needed of a watcher's link. */
export type WatcherLink = Pick<Link, 'isFull' | 'send'>

interface Watcher {
  /** Up to this number it knows. */
  acknowledged: number
  /** Whether there is another filter than the one that it was told: that has all uids too, but finds too many in vain. */
  hasOldFilter: boolean
  /** Until then it may rely on what it was told, as `performance.now()` tells it. */
  leaseEnd: number
  /** Since when it has acknowledged nothing, if something is on its way. */
  silentSince: number
  /** The number of what it was told last. */
  told: number
}

interface Waiter {
  end: number
  number: number
  resolve(): void
}

/** Uids that may be in the filter in vain beside as many as are not, before it is made anew. */
const STALE_UIDS = 1024
/** A watcher that has acknowledged nothing for so long is given no more time to rely on what it was told. */
const LATE_MS = 2_000
/** How exactly it is known that a watcher's time is over, in milliseconds. */
const CHECK_MS = 100
/** So many uids are put into a new filter in one turn. */
const SLICE_UIDS = 10_000
/** Filters that are longer go to one watcher at a time, this often. */
const LONG_FILTER_BYTES = 64 * 1024
const LONG_FILTER_MS = 100

/** A new filter on its way. */
interface Rebuild {
  count: number
  readonly filter: UidFilter
  readonly uids: Iterator<string>
}

/**
 * Tells those who push by uid which uids this gateway may hold, so that they leave it out where it holds none.
 *
 * Invariants: what a watcher is told, in its order, is at every time a filter with all uids of then; an addition is on a watcher's link
 * before anything that the gateway learns later; `whenKnown` resolves when each watcher has what was bound before, or cannot rely on
 * what it has any more, which is in UID_LEASE_MS at the latest; however many uids there are, a new filter takes no turn of more than SLICE_UIDS, and long
 * ones do not go to all at once.
 */
export class UidWatchers implements UidListener {
  #added: UidHash[] = []
  readonly #bound: () => BoundUids
  /** Uids that the filter was given; those that have gone since count too. */
  #count = 0
  readonly #expected = new Map<object, string>()
  #filter = UidFilter.forCount(0)
  #isTelling = false
  /** So many uids, and the filter is made anew. */
  #limit = this.#filter.capacity
  #longFilterAt = Number.NEGATIVE_INFINITY
  #number = 0
  #rebuild: Rebuild | undefined
  #timer: NodeJS.Timeout | undefined
  #waiters: Waiter[] = []
  readonly #watchers = new Map<WatcherLink, Watcher>()

  constructor(bound: () => BoundUids) {
    this.#bound = bound
  }

  onUid(uid: string): void {
    const hash = hashUid(uid)
    if (this.#rebuild?.filter.add(hash)) this.#rebuild.count += 1
    if (!this.#filter.add(hash)) return
    this.#count += 1
    if (this.#watchers.size > 0) this.#added.push(hash)
    this.#tellSoon()
  }

  onUidGone(): void {
    if (this.#isStale) this.#tellSoon()
  }

  /**
   * A client of this uid is about to come; call what this returns when it is bound, or does not come. Between the two await `whenKnown`
   * and let the client know that it is in: from then on whoever hears it from the client finds it by its uid.
   */
  expect(uid: string): () => void {
    const key = {}
    this.#expected.set(key, uid)
    this.onUid(uid)
    return () => void this.#expected.delete(key)
  }

  /** Resolves when every watcher knows the uids of now, or cannot leave this gateway out any more; nothing if that is so already. */
  whenKnown(): Promise<void> | undefined {
    const number = this.#isTelling ? this.#number + 1 : this.#number
    const now = performance.now()
    if (number <= this.#knownNumber(now)) return undefined
    this.#timer ??= setTimeout(this.#onTimer, CHECK_MS).unref()
    return new Promise((resolve) => {
      this.#waiters.push({ end: now + UID_LEASE_MS, number, resolve })
    })
  }

  /** A peer asks to rely on what it is told for UID_LEASE_MS; false if it may not now. It is told everything before the answer. */
  watch(link: WatcherLink): boolean {
    this.#tellAll() // what has come in this chunk as well
    const now = performance.now()
    let watcher = this.#watchers.get(link)
    if (watcher === undefined) {
      if (!this.#mayTellFilter(link, now)) return false
      // Without a filter it leaves nobody out, so there is nothing that it has to acknowledge.
      watcher = { acknowledged: this.#number, hasOldFilter: false, leaseEnd: 0, silentSince: now, told: this.#number }
      this.#watchers.set(link, watcher)
      tell(link, watcher, now, Command.UID_FILTER, this.#filter.bytes, this.#number)
    } else if (watcher.hasOldFilter && this.#mayTellFilter(link, now)) {
      watcher.hasOldFilter = false
      tell(link, watcher, now, Command.UID_FILTER, this.#filter.bytes, this.#number)
    }
    const isLate = watcher.acknowledged < watcher.told && now - watcher.silentSince > LATE_MS
    if (!isLate) watcher.leaseEnd = now + UID_LEASE_MS
    return !isLate
  }

  /** A watcher knows what it was told up to this number. Throws BAD_PARAMETERS. */
  acknowledge(link: WatcherLink, number: unknown): void {
    const watcher = this.#watchers.get(link)
    if (watcher === undefined) return // it has not watched for a while
    if (!Number.isSafeInteger(number) || (number as number) > watcher.told) {
      throw new GatewayWorkerError('BAD_PARAMETERS', 'a watcher of uids acknowledges what it was never told')
    }
    watcher.acknowledged = Math.max(watcher.acknowledged, number as number)
    watcher.silentSince = performance.now()
    const [first] = this.#waiters
    if (first !== undefined && watcher.acknowledged >= first.number) this.#checkWaiters()
  }

  /** The link has ended, and with it what the watcher could rely on. */
  forget(link: WatcherLink): void {
    if (this.#watchers.delete(link)) this.#checkWaiters()
  }

  /** Uids in the filter in vain make pushes to them go here in vain. */
  get #isStale(): boolean {
    return this.#count > 2 * this.#bound().uidCount + STALE_UIDS
  }

  /** After all that this chunk of frames says: before any other connection is heard, so that no event overtakes an addition. */
  #tellSoon(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(this.#tellAll)
  }

  readonly #tellAll = (): void => {
    if (!this.#isTelling) return
    this.#isTelling = false
    const isNew = this.#rebuild === undefined && (this.#isStale || this.#count > this.#limit) && this.#beginRebuild()
    const added = this.#added
    this.#added = []
    if (isNew && this.#filter.bytes.length <= LONG_FILTER_BYTES) this.#tell(Command.UID_FILTER, this.#filter.bytes)
    else if (added.length > 0) this.#tell(Command.UID_FILTER_ADD, encodeUidHashes(added))
  }

  #tell(command: number, bytes: Buffer): void {
    this.#number += 1
    const now = performance.now()
    for (const [link, watcher] of this.#watchers) {
      // Whose time is over relies on nothing, and is told everything when it wants to again; so one that reads nothing gets no more.
      if (watcher.leaseEnd <= now) this.#watchers.delete(link)
      else tell(link, watcher, now, command, bytes, this.#number)
      if (command === Command.UID_FILTER) watcher.hasOldFilter = false
    }
  }

  #mayTellFilter(link: WatcherLink, now: number): boolean {
    if (link.isFull) return false
    if (this.#filter.bytes.length <= LONG_FILTER_BYTES) return true
    if (now - this.#longFilterAt < LONG_FILTER_MS) return false
    this.#longFilterAt = now
    return true
  }

  /** Begins a new filter of the uids of now; true if that was done at once. */
  #beginRebuild(): boolean {
    const bound = this.#bound()
    const filter = UidFilter.forCount(2 * bound.uidCount)
    this.#rebuild = { count: 0, filter, uids: bound.uids()[Symbol.iterator]() }
    this.#goOn(this.#rebuild)
    return this.#rebuild === undefined
  }

  readonly #goOn = (rebuild: Rebuild): void => {
    for (let done = 0; done < SLICE_UIDS; done += 1) {
      const { done: isEnd, value } = rebuild.uids.next()
      if (isEnd) {
        this.#endRebuild(rebuild)
        return
      }
      if (rebuild.filter.add(hashUid(value))) rebuild.count += 1
    }
    setImmediate(this.#goOn, rebuild)
  }

  #endRebuild({ count, filter }: Rebuild): void {
    this.#rebuild = undefined
    this.#filter = filter
    this.#count = count
    for (const uid of this.#expected.values()) this.#refill(uid)
    this.#limit = Math.max(filter.capacity, 2 * this.#count) // one of the largest size is never enough
    for (const watcher of this.#watchers.values()) watcher.hasOldFilter = true
  }

  #refill(uid: string): void {
    if (this.#filter.add(hashUid(uid))) this.#count += 1
  }

  /** What every watcher knows that relies on what it was told. */
  #knownNumber(now: number): number {
    let known = Number.POSITIVE_INFINITY
    for (const { acknowledged, leaseEnd } of this.#watchers.values()) {
      if (leaseEnd > now && acknowledged < known) known = acknowledged
    }
    return known
  }

  #checkWaiters(): void {
    const now = performance.now()
    const known = this.#knownNumber(now)
    const firstLeft = this.#waiters.findIndex(({ end, number }) => number > known && end > now)
    for (const { resolve } of this.#waiters.splice(0, firstLeft < 0 ? Number.POSITIVE_INFINITY : firstLeft)) resolve()
  }

  readonly #onTimer = (): void => {
    this.#checkWaiters()
    this.#timer = this.#waiters.length === 0 ? undefined : setTimeout(this.#onTimer, CHECK_MS).unref()
  }
}

function tell(link: WatcherLink, watcher: Watcher, now: number, command: number, bytes: Buffer, number: number): void {
  if (watcher.acknowledged === watcher.told) watcher.silentSince = now
  watcher.told = number
  link.send(command, 0, 0, bytes, msgpack.encode(number))
}
