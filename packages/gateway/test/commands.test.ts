import { Command, CommandToGateway, msgpack } from '@gatewayworker/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import type { GatewayServer } from '../src/index.ts'
import { linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'

const BINARY = 1 | 4
const RAW = 1 | 2
const { encode } = msgpack

let backend: RawPeer
let gateway: GatewayServer
let log: RecordedLog
let worker: RawPeer
/** Three clients, in the order in which they connected, and their connection ids. */
let clients: [TestClient, TestClient, TestClient]
let ids: [number, number, number]

beforeEach(async () => {
  log = new RecordedLog()
  gateway = await startGateway({ log })
  worker = await linkWorker(gateway)
  backend = await linkPeer(gateway)
  clients = [] as unknown as typeof clients
  ids = [] as unknown as typeof ids
  for (let at = 0; at < 3; at += 1) {
    clients.push(await connectClient(gateway))
    ids.push(await worker.nextClient())
  }
})

/** Who got something from what was just sent: an end mark follows it, and what came before the mark counts. */
async function received(): Promise<(string | Buffer)[][]> {
  backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'end mark')
  return Promise.all(
    clients.map(async ({ messages }) => {
      const all: (string | Buffer)[] = []
      for (let message = await messages.next(); message !== 'end mark'; message = await messages.next())
        all.push(message)
      return all
    }),
  )
}

function tell(command: number, nth: number, ext: string | Buffer = '', body = ''): void {
  backend.link.send(command, ids[nth]!, 1, ext, body)
}

async function sessionOf(nth: number): Promise<unknown> {
  const bytes = await backend.ask(Command.GET_SESSION_BY_CLIENT_ID, '', ids[nth])
  return bytes instanceof Uint8Array ? msgpack.decode(bytes) : bytes
}

describe('sends', () => {
  test('SEND_TO_ONE: one client, text or binary; a stranger is no error', async () => {
    tell(Command.SEND_TO_ONE, 1, '', 'text')
    backend.link.send(Command.SEND_TO_ONE, ids[2], BINARY, '', Buffer.from([0, 255]))
    backend.link.send(Command.SEND_TO_ONE, ids[2] + 1, 1, '', 'to a stranger')
    expect(await received()).toEqual([[], ['text'], [Buffer.from([0, 255])]])
  })

  test('SEND_TO_ONE with the flag RAW: the bytes as they are', async () => {
    // A text frame, and one without anything: the client unframes both.
    backend.link.send(Command.SEND_TO_ONE, ids[1], RAW, '', Buffer.from('81036162638100', 'hex'))
    expect(await received()).toEqual([[], ['abc', ''], []])
  })

  test.each([
    ['everybody', '', [0, 1, 2]],
    ['a list', () => ({ connections: [ids[2], ids[0]] }), [0, 2]],
    ['a map, once each', () => ({ connections: { 7: ids[1], 8: String(ids[1]), 9: ids[1] } }), [1]],
    ['an empty list', { connections: [] }, []],
    ['no list', { connections: null }, []],
    ['strangers', { connections: [0, -1, 1.5, 'x', null] }, []],
    ['all but the keys of a map', () => ({ exclude: { [ids[0]]: 'x', 12345: 1 } }), [1, 2]],
    ['all but nobody', { exclude: null }, [0, 1, 2]],
    ['something else', '5', [0, 1, 2]],
  ])('SEND_TO_ALL to %s', async (_what, audience, expected) => {
    const value = typeof audience === 'function' ? audience() : audience
    const ext = typeof value === 'string' ? value : JSON.stringify(value)
    const receipt = await backend.ask(Command.SEND_TO_ALL, ext, 0, 'message')
    expect(receipt).toEqual([expected.length, 0])
    const got = await received()
    expect(got).toEqual(ids.map((_, at) => ((expected as number[]).includes(at) ? ['message'] : [])))
  })

  test('SEND_TO_UID: once per listing, ints as their text, odd values skipped', async () => {
    tell(Command.BIND_UID, 0, '7')
    tell(Command.BIND_UID, 1, '7')
    tell(Command.BIND_UID, 2, 'b')
    expect(await backend.ask(Command.SEND_TO_UID, '[7,"b","b","none",null,["7"],{"a":7}]', 0, 'm')).toEqual([4, 0])
    expect(await received()).toEqual([['m'], ['m'], ['m', 'm']])
  })

  test('SEND_TO_GROUP: a member of two groups gets it twice, excluded ones not at all', async () => {
    for (const nth of [0, 1]) tell(Command.JOIN_GROUP, nth, 'a')
    for (const nth of [1, 2]) tell(Command.JOIN_GROUP, nth, '5')
    const ext = JSON.stringify({ group: ['a', 5, 'none', null], exclude: { [ids[2]]: ids[2] } })
    expect(await backend.ask(Command.SEND_TO_GROUP, ext, 0, 'm')).toEqual([3, 0])
    expect(await received()).toEqual([['m'], ['m', 'm'], []])
  })

  test.each(['', '[]', '5', 'null', '{"group":"a"}'])('SEND_TO_GROUP with %j reaches nobody', async (ext) => {
    expect(await backend.ask(Command.SEND_TO_GROUP, ext, 0, 'm')).toEqual([0, 0])
  })
})

describe('ends', () => {
  test('KICK says the body, then closes with 1000; the client is gone at once', async () => {
    tell(Command.KICK, 0, '', 'bye')
    expect(await backend.ask(Command.IS_ONLINE, '', ids[0])).toBe(0)
    expect(await clients[0].messages.next()).toBe('bye')
    expect(await clients[0].closed).toEqual({ code: 1000, reason: '' })
    expect((await worker.next(Command.ON_CLOSE)).connectionId).toBe(ids[0])
  })

  test('KICK without a body only closes', async () => {
    tell(Command.KICK, 0)
    expect((await clients[0].closed).code).toBe(1000)
    expect(clients[0].messages.size).toBe(0)
  })

  test('DESTROY cuts the connection', async () => {
    tell(Command.DESTROY, 0)
    expect((await clients[0].closed).code).toBe(1006)
    expect((await worker.next(Command.ON_CLOSE)).connectionId).toBe(ids[0])
  })

  test('REFUSE_CLIENT closes with 1008', async () => {
    worker.link.send(Command.REFUSE_CLIENT, ids[0])
    expect(await clients[0].closed).toEqual({ code: 1008, reason: 'refused' })
  })

  test('a message that comes after the end is no event any more, and ON_CLOSE comes once', async () => {
    tell(Command.KICK, 0)
    await backend.settled()
    clients[0].send('too late')
    await clients[0].closed
    clients[1].send('in time')
    const events = [await worker.frames.next(), await worker.frames.next()]
    expect(events.map(({ command }) => command)).toEqual([Command.ON_CLOSE, Command.ON_MESSAGE])
    expect(String(events[1]!.body)).toBe('in time')
  })
})

describe('sessions', () => {
  test('SET, UPDATE and PATCH; the worker that serves the client is told each time', async () => {
    tell(Command.SET_SESSION, 0, encode({ a: { b: 1 }, c: 2 }))
    tell(Command.UPDATE_SESSION, 0, encode({ a: { d: 3 } }))
    await backend.settled()
    worker.link.send(Command.PATCH_SESSION, ids[0], 32, encode({ set: { e: 4 }, unset: ['c'] }))
    const changes = await worker.frames.take(3)
    expect(changes.map(({ connectionId, ext, flag }) => [connectionId, flag, msgpack.decode(ext)])).toEqual([
      [ids[0], 0, { a: { b: 1 }, c: 2 }],
      [ids[0], 0, { a: { b: 1, d: 3 }, c: 2 }],
      [ids[0], 32, { a: { b: 1, d: 3 }, e: 4 }],
    ])
    expect(await sessionOf(0)).toEqual({ a: { b: 1, d: 3 }, e: 4 })
  })

  test('only the worker itself can confirm its own change', async () => {
    backend.link.send(Command.SET_SESSION, ids[0], 32, encode({ a: 1 }))
    expect((await worker.next(Command.SESSION_CHANGED)).flag).toBe(0)
  })

  test('a change that fails leaves the session, and the worker hears what it is', async () => {
    tell(Command.SET_SESSION, 0, encode({ a: 1 }))
    await expect(backend.ask(Command.SET_SESSION, encode([1]), ids[0])).rejects.toMatchObject({ code: 'BAD_SESSION' })
    worker.link.send(Command.UPDATE_SESSION, ids[0], 32, Buffer.from([0xc1, 0xc1]))
    await worker.next(Command.SESSION_CHANGED)
    await worker.next(Command.SESSION_CHANGED)
    const { ext, flag } = await worker.next(Command.SESSION_CHANGED)
    expect([flag, msgpack.decode(ext)]).toEqual([32, { a: 1 }])
  })

  test('GET_SESSION_BY_CLIENT_ID tells a client without session from no client', async () => {
    expect(await backend.ask(Command.GET_SESSION_BY_CLIENT_ID, '', ids[0])).toEqual(Buffer.alloc(0))
    expect(await backend.ask(Command.GET_SESSION_BY_CLIENT_ID, '', ids[2] + 1)).toBeNull()
  })

  test('GET_ALL_CLIENT_SESSIONS and GET_CLIENT_SESSIONS_BY_GROUP', async () => {
    tell(Command.SET_SESSION, 1, encode({ a: 1 }))
    tell(Command.JOIN_GROUP, 1, 'g')
    const empty = Buffer.alloc(0)
    const session = Buffer.from(encode({ a: 1 }))
    const all = await backend.ask(Command.GET_ALL_CLIENT_SESSIONS)
    expect(all).toEqual(
      new Map([
        [ids[0], empty],
        [ids[1], session],
        [ids[2], empty],
      ]),
    )
    expect(await backend.ask(Command.GET_CLIENT_SESSIONS_BY_GROUP, 'g')).toEqual(new Map([[ids[1], session]]))
    expect(await backend.ask(Command.GET_CLIENT_SESSIONS_BY_GROUP, 'none')).toEqual(new Map())
  })
})

describe('uids and groups', () => {
  test('BIND_UID, UNBIND_UID and who has it', async () => {
    tell(Command.BIND_UID, 2, 'u')
    tell(Command.BIND_UID, 0, 'u')
    tell(Command.BIND_UID, 1, 'v')
    tell(Command.UNBIND_UID, 1)
    expect(await backend.ask(Command.GET_CLIENT_ID_BY_UID, 'u')).toEqual([ids[2], ids[0]])
    expect(await backend.ask(Command.BATCH_GET_CLIENT_ID_BY_UID, '["u","v",7]')).toEqual(
      new Map([
        ['u', [ids[2], ids[0]]],
        ['v', []],
        ['7', []],
      ] as [string, number[]][]),
    )
  })

  test('JOIN_GROUP, LEAVE_GROUP, UNGROUP and who is in it', async () => {
    for (const nth of [0, 1, 2]) for (const group of ['a', 'b']) tell(Command.JOIN_GROUP, nth, group)
    tell(Command.LEAVE_GROUP, 0, 'a')
    expect(await backend.ask(Command.GET_CLIENT_COUNT_BY_GROUP, 'a')).toBe(2)
    expect(await backend.ask(Command.GET_CLIENT_COUNT_BY_GROUP)).toBe(3)
    backend.link.send(Command.UNGROUP, 0, 1, 'b')
    expect(await backend.ask(Command.GET_GROUP_ID_LIST)).toEqual(['a'])
    expect(await backend.ask(Command.BATCH_GET_CLIENT_COUNT_BY_GROUP, '["a","b"]')).toEqual(
      new Map([
        ['a', 2],
        ['b', 0],
      ]),
    )
  })

  test.each(['', '0'])('uid and group %j are none', async (name) => {
    tell(Command.BIND_UID, 0, name)
    tell(Command.JOIN_GROUP, 0, name)
    expect(await backend.ask(Command.GET_CLIENT_ID_BY_UID, name)).toEqual([])
    expect(await backend.ask(Command.GET_GROUP_ID_LIST)).toEqual([])
  })

  test('nothing about a stranger is an error', async () => {
    for (const command of [
      Command.BIND_UID,
      Command.UNBIND_UID,
      Command.JOIN_GROUP,
      Command.LEAVE_GROUP,
      Command.KICK,
    ]) {
      expect(await backend.ask(command, 'x', 0)).toBeNull()
    }
    expect(log.of('could not be carried out')).toEqual([])
  })
})

describe('SELECT', () => {
  beforeEach(() => {
    tell(Command.BIND_UID, 0, 'u')
    for (const group of ['a', 'b']) tell(Command.JOIN_GROUP, 0, group)
    tell(Command.JOIN_GROUP, 1, 'a')
    tell(Command.SET_SESSION, 1, encode({ x: 1 }))
  })

  const select = (fields: unknown, where: unknown) =>
    backend.ask(Command.SELECT, JSON.stringify({ fields, where })) as Promise<Map<number, Map<string, unknown>>>

  test('gives every field of everybody, in the order of connecting', async () => {
    expect([...(await select(['uid', 'groups', 'session'], []))]).toEqual([
      [
        ids[0],
        new Map<string, unknown>([
          ['uid', 'u'],
          [
            'groups',
            new Map([
              ['a', 'a'],
              ['b', 'b'],
            ]),
          ],
          ['session', Buffer.alloc(0)],
        ]),
      ],
      [
        ids[1],
        new Map<string, unknown>([
          ['uid', null],
          ['groups', new Map([['a', 'a']])],
          ['session', Buffer.from(encode({ x: 1 }))],
        ]),
      ],
      [
        ids[2],
        new Map<string, unknown>([
          ['uid', null],
          ['groups', new Map()],
          ['session', Buffer.alloc(0)],
        ]),
      ],
    ])
  })

  test.each([
    [{ groups: ['a', 'b'] }, [0, 1]],
    [{ uid: ['u', 'none'] }, [0]],
    [{ groups: ['b'], connection_id: () => [ids[2], 0] }, [0, 2]],
    [{ connection_id: () => ({ [ids[1]]: ids[1] }) }, [1]],
    [{ groups: [] }, []],
    [{ groups: 'a', uid: null }, []],
    [{ unknown: ['a'] }, []],
    [null, [0, 1, 2]],
  ])('where %j', async (where, expected) => {
    const asked =
      where && Object.fromEntries(Object.entries(where).map(([k, v]) => [k, typeof v === 'function' ? v() : v]))
    expect([...(await select([], asked)).keys()]).toEqual(expected.map((nth) => ids[nth]))
  })

  test('leaves out fields that there are not', async () => {
    expect((await select(['uid', 'password', 'constructor', 5], { uid: ['u'] })).get(ids[0])).toEqual(
      new Map([['uid', 'u']]),
    )
    expect((await select('uid', { uid: ['u'] })).get(ids[0])).toEqual(new Map())
  })
})

describe('what makes no sense', () => {
  test('an unknown command is logged, answered if asked, and the link lives', async () => {
    backend.link.send(99)
    await expect(backend.ask(250)).rejects.toMatchObject({ code: 'BAD_PARAMETERS' })
    expect(log.of('could not be carried out').map(({ level, details }) => [level, details.command])).toEqual([
      ['warn', 99],
      ['warn', 250],
    ])
    expect(await backend.ask(Command.IS_ONLINE, '', ids[0])).toBe(1)
  })

  test.each([
    Command.SEND_TO_ALL,
    Command.SEND_TO_UID,
    Command.SEND_TO_GROUP,
    Command.BATCH_GET_CLIENT_ID_BY_UID,
    Command.BATCH_GET_CLIENT_COUNT_BY_GROUP,
    Command.SELECT,
  ])('malformed JSON for command %i is logged, answered if asked, and the link lives', async (command) => {
    backend.link.send(command, 0, 1, '{"a"')
    await expect(backend.ask(command, '[')).rejects.toMatchObject({ code: 'BAD_PARAMETERS' })
    expect(log.of('could not be carried out')).toHaveLength(2)
    expect(await received()).toEqual([[], [], []])
  })

  test('HANDLER_TIMED_OUT is obeyed from the worker that serves the client only', async () => {
    backend.link.send(Command.HANDLER_TIMED_OUT, ids[0])
    const stranger = await linkWorker(gateway, 'stranger:0')
    stranger.link.send(Command.HANDLER_TIMED_OUT, ids[0])
    await Promise.all([backend.settled(), stranger.settled()])
    clients[0].send('still heard')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('still heard')
  })
})

test('DESCRIBE tells which gateway it is, its clock, and how many workers it has', async () => {
  const before = Date.now()
  const { time, version, ...rest } = Object.fromEntries((await backend.ask(Command.DESCRIBE)) as Map<string, unknown>)
  expect(rest).toEqual({ lanAddress: gateway.lanAddress, workers: 1 })
  expect(version).toMatch(/^\d+\.\d+\.\d+/)
  expect(time).toBeGreaterThanOrEqual(before)
  expect(time).toBeLessThanOrEqual(Date.now())
})

test('every command answers if it is asked, even without parameters', async () => {
  for (const command of Object.values(CommandToGateway)) {
    const answer = backend.ask(command, '', 0).catch((error) => error)
    // Only an answer that never comes is wrong here; an error is an answer too.
    expect(await answer).not.toMatchObject({ code: 'QUESTION_TIMED_OUT' })
  }
  expect(await backend.ask(Command.GET_CLIENT_COUNT_BY_GROUP)).toBe(3)
})
