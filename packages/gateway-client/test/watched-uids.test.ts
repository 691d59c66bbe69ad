import {
  Command,
  encodeFrame,
  encodeUidHashes,
  Frame,
  type GatewayLink,
  hashUid,
  msgpack,
  UID_LEASE_MS,
  UidFilter,
} from '@gatewayworker/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GatewayWorkerError } from '../../protocol/src/errors.ts'
import { type GatewayClient, GatewayPool } from '../src/index.ts'
import { WatchedUids } from '../src/watched-uids.ts'
import { startCluster } from './start-cluster.ts'

const hashed = (uid: string) => ({ hash: hashUid(uid), uid })

/** A gateway that grants what it is asked for, and has these uids. */
async function watched(...held: string[]) {
  const acknowledged: unknown[] = []
  const link = {
    ask: async () => true,
    isClosed: false,
    send: (command: number, _id: number, _flag: number, _ext: string, body: Buffer) =>
      acknowledged.push([command, msgpack.decode(body)]),
  } as unknown as GatewayLink & { isClosed: boolean }
  const uids = new WatchedUids()
  const filter = UidFilter.forCount(0)
  for (const uid of held) filter.add(hashUid(uid))
  const tell = (command: number, ext: Buffer, number: number) =>
    uids.onFrame(new Frame(encodeFrame({ body: msgpack.encode(number), command, ext }), 0), link)
  expect(uids.mayHold(hashed('before it has told'), 0)).toBe(true)
  tell(Command.UID_FILTER, filter.bytes, 1)
  expect(uids.mayHold(hashed('before it has granted'), performance.now())).toBe(true)
  await uids.watch(link)
  const mayHold = (uid: string) => uids.mayHold(hashed(uid), performance.now())
  expect(mayHold('nobody')).toBe(false)
  return { acknowledged, link, mayHold, tell, uids }
}

describe('a gateway may hold', () => {
  test('what it has told', async () => {
    const { acknowledged, mayHold, tell } = await watched('a')
    expect([mayHold('a'), mayHold('b')]).toEqual([true, false])
    expect(tell(Command.UID_FILTER_ADD, encodeUidHashes([hashUid('b'), hashUid('c')]), 2)).toBe(true)
    expect(['a', 'b', 'c', 'd'].map(mayHold)).toEqual([true, true, true, false])
    tell(Command.UID_FILTER, UidFilter.forCount(5_000).bytes, 3)
    expect(['a', 'b', 'c', 'd'].map(mayHold)).toEqual([false, false, false, false])
    expect(acknowledged).toEqual([1, 2, 3].map((number) => [Command.UID_FILTER_ACK, number]))
    expect(tell(Command.ON_MESSAGE, Buffer.alloc(0), 4)).toBe(false)
  })

  test('anything when its promise is over, or its link', async () => {
    const { mayHold, uids } = await watched()
    expect(uids.mayHold(hashed('a'), performance.now() + UID_LEASE_MS)).toBe(true)
    uids.forget()
    expect(mayHold('a')).toBe(true)
  })

  test('what it was ordered to bind, until every order was answered', async () => {
    const { link, mayHold, uids } = await watched()
    const answer: (() => void)[] = []
    const orders = [0, 1].map((at) => {
      const promise = new Promise<void>((resolve) => {
        answer[at] = resolve
      })
      return uids.onOrder('a', promise, () => link)
    })
    expect([mayHold('a'), mayHold('b')]).toEqual([true, false])
    answer[1]!()
    await orders[1]
    expect(mayHold('a')).toBe(true)
    answer[0]!()
    await orders[0]
    expect(mayHold('a')).toBe(false)
  })

  test('what it did not answer for: it may do it yet', async () => {
    const { link, mayHold, uids } = await watched()
    await uids.onOrder('a', Promise.reject(new GatewayWorkerError('QUESTION_TIMED_OUT', 'late')), () => link)
    expect(mayHold('a')).toBe(true)
  })
})

test('an order that is lost with its link is no error, and one that makes no sense is', async () => {
  const { link, uids } = await watched()
  const tooLong = new GatewayWorkerError('FRAME_TOO_LONG', 'a uid of 10 MiB')
  await expect(uids.onOrder('a', Promise.reject(tooLong), () => link)).rejects.toBe(tooLong)
  link.isClosed = true
  await uids.onOrder('b', Promise.reject(new GatewayWorkerError('LINK_CLOSED', 'closed')), () => link)
})

test.each([
  ['a filter of no length that one has', Command.UID_FILTER, 3_000],
  ['half a hash', Command.UID_FILTER_ADD, 4],
])('%s is refused', async (_, command, length) => {
  const { tell } = await watched()
  expect(() => tell(command, Buffer.alloc(length), 2)).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }))
})

/** Pushes to nobody until that costs nothing. */
async function untilWatched(
  framesOf: (call: () => Promise<unknown>) => Promise<number>,
  push: GatewayClient,
): Promise<void> {
  while ((await framesOf(() => push.sendToUid('nobody', 'm'))) > 0) await push.isUidOnline('nobody')
}

describe('in a cluster of four gateways', () => {
  async function start() {
    const cluster = await startCluster({ gateways: 4 })
    const clients = [await cluster.connect(0), await cluster.connect(1), await cluster.connect(2)]
    const pool = new GatewayPool({
      persistent: false,
      registerAddresses: [cluster.registerAddress],
      role: { kind: 'client' },
    })
    const push = cluster.push()
    push.usePool(pool)
    onTestFinished(() => pool.close())
    await pool.whenLinked(5_000)
    /** How many gateways were told something meanwhile. */
    const framesOf = async (call: () => Promise<unknown>) => {
      const before = pool.toldOrders
      await call()
      return pool.toldOrders - before
    }
    return { clients, cluster, framesOf, push }
  }

  test('a script that pushes a few times goes without', async () => {
    const { framesOf, push } = await start()
    for (let at = 0; at < 9; at += 1) expect(await framesOf(() => push.sendToUid('a', 'm'))).toBe(4)
    await push.getAllUidList()
    expect(await framesOf(() => push.sendToUid('a', 'm'))).toBe(4)
  })

  test('a push goes where its uid is, a list of uids each to its own', async () => {
    const { clients, framesOf, push } = await start()
    for (const [at, { clientId }] of clients.entries()) await push.bindUid(clientId, at + 1)
    await untilWatched(framesOf, push)

    expect(await framesOf(() => push.sendToUid(1, 'one'))).toBe(1)
    expect(await framesOf(() => push.sendToUid(['2', 3, 9], 'two'))).toBe(2)
    expect(await framesOf(() => push.sendToUid([1, 2, 3], 'three'))).toBe(3)
    expect(await framesOf(() => push.sendToUid([9, 8], 'none'))).toBe(0)
    await push.sendToUid([2, 9, 2], 'twice')
    expect(await push.sendToUid([1, 9], 'end', { receipt: true })).toEqual({ delivered: 1, slow: 0, unanswered: [] })
    expect(await push.sendToUid([2, 3], 'end', { receipt: true })).toMatchObject({ delivered: 2 })
    const received = await Promise.all(
      clients.map(async ({ messages }) => [await messages.next(), await messages.next(), await messages.next()]),
    )
    expect(received).toEqual([
      ['one', 'three', 'end'],
      ['two', 'three', 'twice'],
      ['two', 'three', 'end'],
    ])

    const [first, second] = clients
    expect(await push.isUidsOnline([1, 2, 9])).toEqual(
      new Map([
        ['1', true],
        ['2', true],
        ['9', false],
      ]),
    )
    expect(await push.batchGetClientIdByUid([9])).toEqual(new Map([['9', []]]))
    expect(await push.getClientIdByUid('1')).toEqual([first!.clientId])

    // One that is bound to two is found in both, and the call itself finds it before it is answered.
    void push.bindUid(second!.clientId, 'new')
    expect(await framesOf(() => push.sendToUid('new', 'm'))).toBe(1)
    void push.bindUid(first!.clientId, 'new')
    expect(await push.sendToUid('new', 'm', { receipt: true })).toMatchObject({ delivered: 2 })
  })

  test('what one program binds another finds', async () => {
    const { clients, cluster, framesOf, push } = await start()
    const binder = cluster.push()
    await untilWatched(framesOf, push)
    for (let round = 0; round < 300; round += 1) {
      await binder.bindUid(clients[round % 3]!.clientId, `uid ${round}`)
      expect(await push.sendToUid(`uid ${round}`, 'm', { receipt: true })).toMatchObject({ delivered: 1 })
    }
  })
})
