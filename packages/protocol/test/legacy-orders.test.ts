import { describe, expect, it } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import type { GatewayLink } from '../src/dial.ts'
import { buildAnswer, buildFrame, type WireFields } from './build-frame.ts'
import { DEADLINE_MS, event, linkToPhp, ORIGIN, OWN_CHANGE, SCALAR } from './scripted-gateway.ts'

const RAW = 2
const BINARY = 4

describe('what we say', () => {
  const MESSAGE = 'a message'
  const JSON_EXT = '{"group":["a"],"exclude":null}'

  it.each<[string, Parameters<GatewayLink['send']>, WireFields]>([
    ['a text', [5, 7, SCALAR, '', MESSAGE], { cmd: 5, connection_id: 7, flag: SCALAR, body: MESSAGE }],
    ['an empty text', [5, 7, SCALAR, '', ''], { cmd: 5, connection_id: 7, flag: SCALAR }],
    [
      'a binary message',
      [5, 7, SCALAR | BINARY, '', Buffer.from([255])],
      { cmd: 5, connection_id: 7, flag: SCALAR, body: Buffer.from([255]) },
    ],
    ['a raw message', [6, 0, SCALAR | RAW, '', MESSAGE], { cmd: 6, flag: SCALAR | RAW, body: MESSAGE }],
    ['an empty raw message', [6, 0, SCALAR | RAW], { cmd: 6, flag: SCALAR | RAW }],
    ['to groups', [22, 0, SCALAR, JSON_EXT, MESSAGE], { cmd: 22, flag: SCALAR, ext: JSON_EXT, body: MESSAGE }],
    ['KICK with a message', [7, 7, SCALAR, '', MESSAGE], { cmd: 7, connection_id: 7, flag: SCALAR, body: MESSAGE }],
    ['KICK without one', [7, 7, SCALAR], { cmd: 7, connection_id: 7, body: 'N;' }],
    ['DESTROY', [8, 7], { cmd: 8, connection_id: 7, flag: SCALAR }],
    ['a refusal', [108, 7], { cmd: 7, connection_id: 7, body: 'N;' }],
    ['BIND_UID', [12, 7, 0, 'é'], { cmd: 12, connection_id: 7, flag: SCALAR, ext: 'é' }],
    ['JOIN_GROUP', [20, 7, 0, '5'], { cmd: 20, connection_id: 7, flag: SCALAR, ext: '5' }],
  ])('is in words that PHP knows: %s', async (_name, said, expected) => {
    const { link, php } = await linkToPhp()
    link.send(...said)
    expect((await php.frame()).toString('hex')).toBe(buildFrame(expected).toString('hex'))
  })

  it.each<[string, number, unknown, string]>([
    ['SET_SESSION', 204, { a: 1.5, 5: 'x', n: null }, 'a:3:{i:5;s:1:"x";s:1:"a";d:1.5;s:1:"n";N;}'],
    ['UPDATE_SESSION', 9, { a: { b: [true] } }, 'a:1:{s:1:"a";a:1:{s:1:"b";a:1:{i:0;b:1;}}}'],
  ])(
    'of sessions is serialized, and asks for nothing where the client is not ours: %s',
    async (_name, command, session, ext) => {
      const { link, php, settled } = await linkToPhp()
      link.send(command, 7, 0, msgpack.encode(session))
      link.send(command, 7, OWN_CHANGE, msgpack.encode(session))
      const expected = buildFrame({ cmd: command, connection_id: 7, flag: SCALAR, ext })
      expect(await php.frame()).toEqual(expected)
      expect(await php.frame()).toEqual(expected)
      await settled()
    },
  )

  it('is BIND_UID without a question, which is answered here, and nothing at all for WATCH_UIDS', async () => {
    const { link, php, settled } = await linkToPhp()
    expect(await link.ask(130, DEADLINE_MS)).toBe(false)
    expect(await link.ask(12, DEADLINE_MS, 7, 0, 'é')).toBeNull()
    expect(await php.frame()).toEqual(buildFrame({ cmd: 12, connection_id: 7, flag: SCALAR, ext: 'é' }))
    await settled() // neither has a place among the answers
  })

  it('is never longer than PHP takes', async () => {
    const { link, settled } = await linkToPhp()
    const tooLong = Buffer.alloc(10 * 1024 * 1024 - 27)
    expect(() => link.send(5, 7, SCALAR, '', tooLong)).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }))
    await expect(link.ask(5, DEADLINE_MS, 7, SCALAR, '', tooLong)).rejects.toMatchObject({ code: 'FRAME_TOO_LONG' })
    await expect(link.ask(15, DEADLINE_MS, 7, SCALAR, tooLong)).rejects.toMatchObject({ code: 'FRAME_TOO_LONG' })
    await settled() // none of them has a place among the answers
  })
})

describe('a change of the session of a client that we serve', () => {
  const FIRST = 'a:4:{s:1:"f";d:1;s:1:"o";O:1:"A":1:{s:1:"x";d:2;}i:5;s:4:"five";s:1:"t";s:3:"old";}'
  /** What a reader in our dialect makes of it. */
  const first = { f: 1, o: { x: 2 }, 5: 'five', t: 'old' }

  /** With client 5, which has that session. */
  async function serveClient() {
    const linked = await linkToPhp()
    linked.php.write(event({ cmd: 1, connection_id: 5, ext: FIRST }))
    await linked.settled()
    expect(linked.events.splice(0)[0]).toEqual(['context', 5, first, ORIGIN])
    return linked
  }

  const QUESTION = buildFrame({ cmd: 203, connection_id: 5, flag: SCALAR })
  const change = (cmd: number, ext: string) => buildFrame({ cmd, connection_id: 5, flag: SCALAR, ext })
  const patch = (set: object, unset: string[] = []) => msgpack.encode({ set, unset })

  it('keeps all else byte for byte, is not undone by events on their way, and is confirmed when it was carried out', async () => {
    const { events, link, php, settled } = await serveClient()
    link.send(Command.PATCH_SESSION, 5, OWN_CHANGE, patch({ t: 'new', n: [1] }, ['5']))
    const changed = FIRST.replace('i:5;s:4:"five";', '').replace('s:3:"old";', 's:3:"new";s:1:"n";a:1:{i:0;i:1;}')
    expect((await php.frame()).toString()).toBe(change(204, changed).toString())
    expect(await php.frame()).toEqual(QUESTION)
    php.write(event({ cmd: 3, connection_id: 5, ext: FIRST, body: 'stale' }), buildAnswer(changed))
    php.write(event({ cmd: 3, connection_id: 5, ext: changed, body: 'fresh' }))
    await settled()
    expect(events).toEqual([
      ['message', 5, SCALAR, 'stale'],
      ['session', 5, OWN_CHANGE, { f: 1, o: { x: 2 }, t: 'new', n: [1] }],
      ['message', 5, SCALAR, 'fresh'],
    ])
  })

  it('by another process meanwhile is told with the confirmation', async () => {
    const { events, link, php, settled } = await serveClient()
    link.send(Command.SET_SESSION, 5, OWN_CHANGE, msgpack.encode({ a: 1 }))
    expect((await php.frame()).toString()).toBe(change(204, 'a:1:{s:1:"a";i:1;}').toString())
    await php.frame()
    php.write(buildAnswer('a:2:{s:1:"a";i:1;s:1:"b";i:2;}'))
    await settled()
    expect(events).toEqual([['session', 5, OWN_CHANGE, { a: 1, b: 2 }]])
  })

  it('after another is made on top of it; each is confirmed, and the last word has both', async () => {
    const { events, link, php, settled } = await serveClient()
    link.send(Command.SET_SESSION, 5, OWN_CHANGE, msgpack.encode({ a: { x: 1 } }))
    link.send(Command.UPDATE_SESSION, 5, OWN_CHANGE, msgpack.encode({ a: { y: 2 } }))
    link.send(Command.PATCH_SESSION, 5, OWN_CHANGE, patch({ b: 3 }))
    const said = [
      await php.frame(),
      await php.frame(),
      await php.frame(),
      await php.frame(),
      await php.frame(),
      await php.frame(),
    ]
    const [one, two, three] = [
      'a:1:{s:1:"a";a:1:{s:1:"x";i:1;}}',
      'a:1:{s:1:"a";a:1:{s:1:"y";i:2;}}',
      'a:2:{s:1:"a";a:2:{s:1:"x";i:1;s:1:"y";i:2;}s:1:"b";i:3;}',
    ]
    expect(said.map(String)).toEqual(
      [change(204, one), QUESTION, change(9, two), QUESTION, change(204, three), QUESTION].map(String),
    )
    php.write(buildAnswer(one), event({ cmd: 3, connection_id: 5, ext: one }), buildAnswer(three), buildAnswer(three))
    await settled()
    const both = { a: { x: 1, y: 2 }, b: 3 }
    expect(events.map(([what, , flag, session]) => (what === 'session' ? [flag, session] : what))).toEqual([
      [OWN_CHANGE, both],
      'message',
      [OWN_CHANGE, both],
      [OWN_CHANGE, both],
    ])
  })

  it('that has left, or whose number is another’s now, is confirmed to nobody', async () => {
    const { events, link, php, settled } = await serveClient()
    link.send(Command.PATCH_SESSION, 5, OWN_CHANGE, patch({ t: 'new' }))
    php.write(
      event({ cmd: 4, connection_id: 5, ext: FIRST }),
      event({ cmd: 1, connection_id: 5 }),
      buildAnswer('a:1:{s:1:"x";i:1;}'),
    )
    php.write(event({ cmd: 3, connection_id: 5 }))
    await php.frame()
    await php.frame()
    await settled()
    expect(events.map(([what]) => what)).toEqual(['close', 'context', 'connect', 'message'])
    link.send(Command.PATCH_SESSION, 6, OWN_CHANGE, patch({ t: 'new' }))
    await settled() // a client that nobody knows has no session to change
  })

  it('that is gone when it is carried out leaves no session', async () => {
    const { events, link, log, php, settled } = await serveClient()
    link.send(Command.PATCH_SESSION, 5, OWN_CHANGE, patch({ t: 'new' }))
    await php.frame()
    await php.frame()
    php.write(buildAnswer('N;'))
    await settled()
    expect(events).toEqual([['session', 5, OWN_CHANGE, {}]])
    expect(log.lines).toEqual([])
  })

  it.each([
    ['PATCH_SESSION', 105, patch({ t: 'new' })],
    ['UPDATE_SESSION', 9, msgpack.encode({ t: 'new' })],
  ])(
    'that cannot be made (%s) throws, is not sent, and is confirmed with the session as it is',
    async (_name, command, ext) => {
      const { events, link, php, settled } = await serveClient()
      const unreadable = 'a:2:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;R:9;}'
      php.write(event({ cmd: 3, connection_id: 5, ext: unreadable }))
      await settled()
      events.splice(0)
      expect(() => link.send(command, 5, OWN_CHANGE, ext)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }))
      expect(await php.frame()).toEqual(QUESTION)
      php.write(buildAnswer(unreadable))
      await settled()
      expect(events).toEqual([['session', 5, OWN_CHANGE, {}]])
      php.write(event({ cmd: 3, connection_id: 5, ext: 'a:1:{s:1:"a";i:1;}' }))
      await settled()
      expect(events.slice(1)).toEqual([
        ['session', 5, 0, { a: 1 }],
        ['message', 5, SCALAR, ''],
      ])
    },
  )

  it('that becomes too long for a frame in PHP’s format throws, and is confirmed with the session as it is', async () => {
    const { events, link, php, settled } = await serveClient()
    const many = Array.from({ length: 900_000 }, () => 1) // a byte each in msgpack
    expect(() => link.send(Command.PATCH_SESSION, 5, OWN_CHANGE, patch({ many }))).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
    )
    expect(await php.frame()).toEqual(QUESTION)
    php.write(event({ cmd: 3, connection_id: 5, ext: FIRST }), buildAnswer(FIRST))
    await settled()
    expect(events).toEqual([
      ['message', 5, SCALAR, ''],
      ['session', 5, OWN_CHANGE, first],
    ])
  })
})
