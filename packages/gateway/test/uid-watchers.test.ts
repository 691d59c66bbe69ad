import { Command, decodeUidHashes, hashUid, msgpack, UID_LEASE_MS, UidFilter } from '@gatewayworker/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Hub, type HubMember } from '../src/hub.ts'
import { UidWatchers, type WatcherLink } from '../src/uid-watchers.ts'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'

/** One who watches, and what it was told. */
class Watcher implements WatcherLink {
  isFull = false
  readonly told: { command: number; ext: Buffer; number: number }[] = []

  readonly send: WatcherLink['send'] = (command, _connectionId, _flag, ext, body) => {
    this.told.push({ command, ext: Buffer.from(ext as Buffer), number: msgpack.decode(body as Buffer) as number })
  }

  get lastNumber(): number {
    return this.told.at(-1)!.number
  }

  /** Whether it would send what is for this uid to the gateway. */
  mayFind(uid: string): boolean {
    return this.find([uid]).length > 0
  }

  /** Those of the uids for which it would. */
  find(uids: string[]): string[] {
    const from = this.told.findLastIndex(({ command }) => command === Command.UID_FILTER)
    const filter = UidFilter.from(this.told[from]!.ext)
    for (const { ext } of this.told.slice(from + 1)) for (const hash of decodeUidHashes(ext)) filter.add(hash)
    return uids.filter((uid) => filter.mayHave(hashUid(uid)))
  }
}

function create(): { bind(uid: string): HubMember; hub: Hub<HubMember>; watchers: UidWatchers } {
  const watchers: UidWatchers = new UidWatchers(() => hub)
  const hub = new Hub<HubMember>(1, watchers)
  const bind = (uid: string) => {
    const member: HubMember = { connectionId: hub.takeConnectionId(), groups: undefined, uid: undefined }
    hub.add(member)
    hub.bind(member, uid)
    return member
  }
  return { bind, hub, watchers }
}

/** Whether a promise is kept by now. */
async function isKept(promise: Promise<void> | undefined): Promise<boolean> {
  let kept = false
  void promise?.then(() => {
    kept = true
  })
  await vi.advanceTimersByTimeAsync(0)
  return kept || promise === undefined
}

const names = (count: number, prefix = 'uid') => Array.from({ length: count }, (_, at) => `${prefix} ${at}`)

describe('who watches', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['clearTimeout', 'performance', 'setTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  test('is told what is there, and then what comes, once for each chunk of frames', async () => {
    const { bind, watchers } = create()
    bind('a')
    const watcher = new Watcher()
    expect(watchers.watch(watcher)).toBe(true)
    await vi.advanceTimersByTimeAsync(0)
    watcher.told.length = 1
    expect([watcher.mayFind('a'), watcher.mayFind('b')]).toEqual([true, false])
    for (const uid of names(100)) bind(uid)
    bind('uid 1')
    await vi.advanceTimersByTimeAsync(0)
    expect(watcher.told.map(({ command, ext }) => [command, ext.length])).toEqual([
      [Command.UID_FILTER, 2048],
      [Command.UID_FILTER_ADD, 800],
    ])
    expect(watcher.find(names(100))).toEqual(names(100))
  })

  test('is told nothing more when its time is over, and everything when it watches again', async () => {
    const { bind, watchers } = create()
    const watcher = new Watcher()
    watchers.watch(watcher)
    await vi.advanceTimersByTimeAsync(UID_LEASE_MS)
    bind('a')
    expect(await isKept(watchers.whenKnown())).toBe(true)
    expect(watcher.told).toHaveLength(1)
    expect(watchers.watch(watcher)).toBe(true)
    expect(watcher.told).toHaveLength(2)
    expect(watcher.mayFind('a')).toBe(true)
  })

  test('is told a new filter when too many have gone, and when too many have come', async () => {
    const { bind, hub, watchers } = create()
    const watcher = new Watcher()
    watchers.watch(watcher)
    const crowd = names(5_000).map(bind)
    await vi.advanceTimersByTimeAsync(0)
    expect(watcher.told.at(-1)).toMatchObject({ command: Command.UID_FILTER, ext: { length: 16 * 1024 } })
    bind('stays')
    for (const member of crowd) hub.remove(member)
    await vi.advanceTimersByTimeAsync(0)
    expect(watcher.told.at(-1)).toMatchObject({ command: Command.UID_FILTER, ext: { length: 2 * 1024 } })
    expect(watcher.mayFind('stays')).toBe(true)
    expect(watcher.find(names(5_000))).toEqual([])
  })

  test('costs few filters while clients come and go', async () => {
    const { bind, hub, watchers } = create()
    const watcher = new Watcher()
    watchers.watch(watcher)
    const here = names(1_000).map(bind)
    for (let round = 0; round < 100; round += 1) {
      for (let at = 0; at < 100; at += 1) {
        hub.remove(here.shift()!)
        here.push(bind(`later ${round} ${at}`))
      }
      await vi.advanceTimersByTimeAsync(10)
      watchers.watch(watcher)
      watchers.acknowledge(watcher, watcher.lastNumber)
      expect(watcher.find(names(1_000, 'nobody')).length).toBeLessThan(25)
    }
    const filters = watcher.told.filter(({ command }) => command === Command.UID_FILTER).length
    expect(filters).toBeGreaterThan(3)
    expect(filters).toBeLessThan(10)
  })

  test('finds every uid while a new filter of many is made in many turns, and is told it when it watches again', async () => {
    const { bind, watchers } = create()
    const [early, late] = [new Watcher(), new Watcher()]
    for (const watcher of [early, late]) watchers.watch(watcher)
    const uids = names(60_000)
    for (const [at, uid] of uids.entries()) {
      bind(uid)
      // In chunks, as from connections, and with turns in between.
      if (at % 1_000 === 999) await vi.advanceTimersByTimeAsync(1)
      if (at % 10_000 === 9_999)
        for (const watcher of [early, late]) expect(watcher.find(uids.slice(0, at + 1))).toHaveLength(at + 1)
    }
    await vi.advanceTimersByTimeAsync(100)
    const filters = (watcher: Watcher) => watcher.told.filter(({ command }) => command === Command.UID_FILTER)
    // One that holds twice as many is 128 KiB long: it is not told to all at once.
    expect(Math.max(...filters(early).map(({ ext }) => ext.length))).toBeLessThanOrEqual(64 * 1024)
    for (const watcher of [early, late]) watchers.acknowledge(watcher, watcher.lastNumber)
    const before = filters(late).length
    expect([watchers.watch(early), watchers.watch(late)]).toEqual([true, true])
    expect(filters(early).at(-1)!.ext).toHaveLength(128 * 1024)
    expect(filters(late)).toHaveLength(before)
    await vi.advanceTimersByTimeAsync(100)
    watchers.watch(late)
    expect(filters(late).at(-1)!.ext).toHaveLength(128 * 1024)
    bind('newest')
    await vi.advanceTimersByTimeAsync(1)
    for (const watcher of [early, late]) expect(watcher.find([...uids, 'newest'])).toHaveLength(60_001)
    expect(early.find(names(1_000, 'nobody')).length).toBeLessThan(50)
  })

  test('cannot acknowledge what it was never told', async () => {
    const { watchers } = create()
    const watcher = new Watcher()
    watchers.watch(watcher)
    for (const number of [1, -1.5, '0', null]) {
      expect(() => watchers.acknowledge(watcher, number)).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }))
    }
  })

  test('whose link is full is not told everything on top', () => {
    const { watchers } = create()
    const watcher = new Watcher()
    watcher.isFull = true
    expect(watchers.watch(watcher)).toBe(false)
    expect(watcher.told).toEqual([])
  })
})

describe('what is known', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['clearTimeout', 'performance', 'setTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  async function createWatched(count: number) {
    const created = create()
    const all = Array.from({ length: count }, () => new Watcher())
    for (const watcher of all) created.watchers.watch(watcher)
    await vi.advanceTimersByTimeAsync(0)
    return { ...created, all }
  }

  test('without anybody who watches, is known', () => {
    const { bind, watchers } = create()
    bind('a')
    expect(watchers.whenKnown()).toBeUndefined()
  })

  test('is what all who watch have acknowledged, also when it was bound twice', async () => {
    const { all, bind, watchers } = await createWatched(2)
    bind('a')
    const first = watchers.whenKnown()
    await vi.advanceTimersByTimeAsync(0)
    bind('a')
    const again = watchers.whenKnown()
    watchers.acknowledge(all[0]!, all[0]!.lastNumber)
    expect(await isKept(first)).toBe(false)
    bind('b')
    const second = watchers.whenKnown()
    const numberOfA = all[1]!.lastNumber
    await vi.advanceTimersByTimeAsync(0)
    watchers.acknowledge(all[1]!, numberOfA)
    expect([await isKept(first), await isKept(again), await isKept(second)]).toEqual([true, true, false])
    for (const watcher of all) watchers.acknowledge(watcher, watcher.lastNumber)
    expect(await isKept(second)).toBe(true)
    expect(watchers.whenKnown()).toBeUndefined()
  })

  test('is not waited for from a link that has ended', async () => {
    const { all, bind, watchers } = await createWatched(2)
    bind('a')
    const known = watchers.whenKnown()
    await vi.advanceTimersByTimeAsync(0)
    watchers.acknowledge(all[0]!, all[0]!.lastNumber)
    watchers.forget(all[1]!)
    expect(await isKept(known)).toBe(true)
  })

  test('is waited for from one that stands still until its time is over, and then no more', async () => {
    const { bind, watchers } = await createWatched(1)
    await vi.advanceTimersByTimeAsync(1_000)
    bind('a')
    const known = watchers.whenKnown()
    await vi.advanceTimersByTimeAsync(UID_LEASE_MS - 1_000 - 1)
    expect(await isKept(known)).toBe(false)
    await vi.advanceTimersByTimeAsync(101)
    expect(await isKept(known)).toBe(true)
    bind('b')
    expect(await isKept(watchers.whenKnown())).toBe(true)
  })

  test('is waited for from one that asks and does not listen for 5 s, and a second later no more', async () => {
    const { all, bind, watchers } = await createWatched(1)
    bind('a')
    const known = watchers.whenKnown()
    const granted: boolean[] = []
    for (let second = 1; second <= 6; second += 1) {
      await vi.advanceTimersByTimeAsync(1_001)
      granted.push(watchers.watch(all[0]!))
      if (second === 4) expect(await isKept(known)).toBe(false)
      if (second === 6) expect(await isKept(known)).toBe(true)
    }
    expect(granted).toEqual([true, false, false, false, false, false])
    bind('b')
    expect(await isKept(watchers.whenKnown())).toBe(true)
  })

  test('is waited for from one that is slow for 5 s', async () => {
    const { all, bind, watchers } = await createWatched(1)
    const [watcher] = all
    const waits: Promise<void>[] = []
    for (let round = 0; round < 12; round += 1) {
      bind(String(round))
      waits.push(watchers.whenKnown()!)
      await vi.advanceTimersByTimeAsync(500)
      watchers.acknowledge(watcher!, 1)
      expect(watchers.watch(watcher!)).toBe(true)
    }
    expect([await isKept(waits[1]), await isKept(waits[3])]).toEqual([true, false])
  })

  test('who is expected, until it is there or does not come', async () => {
    const { all, bind, hub, watchers } = await createWatched(1)
    const arrived = watchers.expect('a')
    const known = watchers.whenKnown()
    await vi.advanceTimersByTimeAsync(0)
    expect(await isKept(known)).toBe(false)
    for (const member of names(5_000).map(bind)) hub.remove(member)
    await vi.advanceTimersByTimeAsync(0)
    expect(all[0]!.mayFind('a')).toBe(true)
    watchers.acknowledge(all[0]!, all[0]!.lastNumber)
    expect(await isKept(known)).toBe(true)
    arrived()
    for (const member of names(5_000).map(bind)) hub.remove(member)
    await vi.advanceTimersByTimeAsync(0)
    expect(all[0]!.mayFind('a')).toBe(false)
  })
})

describe('a gateway', () => {
  test('answers who binds when all who watch know', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    const [binder, watcher] = [await linkPeer(gateway), await linkPeer(gateway)]
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    expect(await watcher.ask(Command.WATCH_UIDS)).toBe(true)
    expect(UidFilter.from((await watcher.next(Command.UID_FILTER)).ext).mayHave(hashUid('7'))).toBe(false)
    const order: string[] = []
    const bound = binder.ask(Command.BIND_UID, '7', id).then(() => order.push('answered'))
    const { body, ext } = await watcher.next(Command.UID_FILTER_ADD)
    expect(decodeUidHashes(ext)).toEqual([hashUid('7')])
    expect(await binder.ask(Command.GET_CLIENT_ID_BY_UID, '7')).toEqual([id])
    order.push('acknowledged')
    watcher.link.send(Command.UID_FILTER_ACK, 0, 0, '', body)
    await bound
    expect(order).toEqual(['acknowledged', 'answered'])
    client.socket.terminate()
  })

  test('tells a worker of a uid before an event of its client, whoever bound it', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    await worker.ask(Command.WATCH_UIDS)
    const backend = await linkPeer(gateway)
    backend.link.send(Command.BIND_UID, id, 0, '7') // as PHP does: nobody waits for an answer
    await backend.settled()
    client.socket.send('who am I?')
    const commands: number[] = []
    while (commands.at(-1) !== Command.ON_MESSAGE) commands.push((await worker.frames.next()).command)
    expect(commands.slice(-2)).toEqual([Command.UID_FILTER_ADD, Command.ON_MESSAGE])
  })

  test('does not wait for who has gone', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    await connectClient(gateway)
    const id = await worker.nextClient()
    const watcher = await linkPeer(gateway)
    await watcher.ask(Command.WATCH_UIDS)
    const bound = worker.ask(Command.BIND_UID, '7', id)
    await watcher.next(Command.UID_FILTER_ADD)
    watcher.kill()
    expect(await bound).toBeNull()
  })

  test('ends the link of one that acknowledges nonsense with a logged error, not the process', async () => {
    const gateway = await startGateway()
    const watcher = await linkPeer(gateway)
    await watcher.ask(Command.WATCH_UIDS)
    await expect(watcher.ask(Command.UID_FILTER_ACK)).rejects.toMatchObject({ code: 'BAD_VALUE' })
    expect(await watcher.ask(Command.WATCH_UIDS)).toBe(true)
  })
})
