import { describe, expect, it, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import { buildAnswer, buildFrame, type WireFields } from './build-frame.ts'
import { DEADLINE_MS, event, linkToPhp, SCALAR } from './scripted-gateway.ts'

describe('questions', () => {
  it.each<[string, number, string, string, unknown]>([
    ['nobody', 10, '', 'a:0:{}', new Map()],
    [
      'sessions',
      10,
      '',
      'a:2:{i:7;s:0:"";i:3;s:18:"a:1:{s:1:"a";i:1;}";}',
      new Map([
        [7, Buffer.alloc(0)],
        [3, Buffer.from(msgpack.encode({ a: 1 }))],
      ]),
    ],
    [
      'sessions of connections 0 and 1, which look like a list',
      23,
      'g',
      'a:2:{i:0;s:0:"";i:1;N;}',
      new Map([
        [0, Buffer.alloc(0)],
        [1, Buffer.alloc(0)],
      ]),
    ],
    ['yes', 11, '', 'i:1;', 1],
    ['no', 11, '', 'i:0;', 0],
    ['connections of a uid', 15, 'u', 'a:2:{i:0;i:9;i:1;i:4;}', [9, 4]],
    ['connections that are keys too', 15, 'u', 'a:2:{i:9;i:9;i:4;i:4;}', [9, 4]],
    [
      'connections of uids',
      16,
      '["u",5]',
      'a:2:{s:1:"u";a:1:{i:0;i:9;}i:5;a:0:{}}',
      new Map([
        ['u', [9]],
        ['5', []],
      ]),
    ],
    [
      'connections of uids 0 and 1',
      16,
      '["0","1"]',
      'a:2:{i:0;a:0:{}i:1;a:1:{i:0;i:4;}}',
      new Map([
        ['0', []],
        ['1', [4]],
      ]),
    ],
    [
      'connections of a uid that is no text',
      16,
      '["x"]',
      'a:1:{s:9:"__proto__";a:1:{i:0;i:4;}}',
      new Map([['__proto__', [4]]]),
    ],
    ['a count', 24, 'g', 'i:12;', 12],
    ['groups', 26, '', 'a:3:{i:0;i:123;i:1;s:1:"g";i:2;s:2:"\xc3\xa9";}', ['123', 'g', 'é']],
    [
      'counts',
      28,
      '["g"]',
      'a:2:{s:1:"g";i:2;i:123;i:0;}',
      new Map([
        ['g', 2],
        ['123', 0],
      ]),
    ],
    ['no client', 203, '', 'N;', null],
    ['a client without session', 203, '', 'a:0:{}', Buffer.alloc(0)],
    ['a session', 203, '', 'a:1:{s:1:"a";d:0.5;}', Buffer.from(msgpack.encode({ a: 0.5 }))],
  ])(
    'are asked in the bytes of PHP and answered as by one of ours: %s',
    async (_name, command, ext, answer, expected) => {
      const { link, php } = await linkToPhp()
      const asked = link.ask(command, DEADLINE_MS, 7, 0, ext)
      expect(await php.frame()).toEqual(buildFrame({ cmd: command, connection_id: 7, flag: SCALAR, ext }))
      php.write(buildAnswer(answer))
      const got = await asked
      expect(got).toEqual(expected)
      if (got instanceof Map) expect([...got.keys()]).toEqual([...(expected as Map<unknown, unknown>).keys()])
    },
  )

  it('of SELECT', async () => {
    const { link, php } = await linkToPhp()
    const ext = '{"fields":["uid","groups","session"],"where":{"uid":["u"]}}'
    const asked = link.ask(Command.SELECT, DEADLINE_MS, 0, 0, ext)
    expect(await php.frame()).toEqual(buildFrame({ cmd: 25, flag: SCALAR, ext }))
    const groups = 'a:2:{i:123;s:3:"123";s:1:"g";s:1:"g";}'
    php.write(
      buildAnswer(
        `a:2:{i:9;a:3:{s:3:"uid";s:1:"u";s:6:"groups";${groups}s:7:"session";s:18:"a:1:{s:1:"a";i:1;}";}` +
          'i:4;a:3:{s:3:"uid";N;s:6:"groups";a:0:{}s:7:"session";N;}}',
      ),
    )
    expect(await asked).toEqual(
      new Map<number, unknown>([
        [
          9,
          new Map<string, unknown>([
            ['uid', 'u'],
            [
              'groups',
              new Map([
                ['123', '123'],
                ['g', 'g'],
              ]),
            ],
            ['session', Buffer.from(msgpack.encode({ a: 1 }))],
          ]),
        ],
        [
          4,
          new Map<string, unknown>([
            ['uid', null],
            ['groups', new Map()],
            ['session', Buffer.alloc(0)],
          ]),
        ],
      ]),
    )
  })

  it('of SELECT without fields ask for one, since PHP lists nobody without', async () => {
    const { link, php } = await linkToPhp()
    const asked = link.ask(Command.SELECT, DEADLINE_MS, 0, 0, '{"fields":[],"where":[]}')
    expect(await php.frame()).toEqual(buildFrame({ cmd: 25, flag: SCALAR, ext: '{"fields":["uid"],"where":[]}' }))
    php.write(buildAnswer('a:1:{i:9;a:1:{s:3:"uid";N;}}'))
    expect([...((await asked) as Map<number, unknown>).keys()]).toEqual([9])
  })

  it('are answered in the order of asking, between events and cut anywhere; a given-up one keeps its place', async () => {
    const { events, handledBefore, link, php } = await linkToPhp()
    /** Else the client's window would be full in the end. */
    const acknowledge = (count: number) => {
      const pair = Buffer.alloc(8)
      pair.writeUInt32BE(5)
      pair.writeUInt32BE(((handledBefore.get(5) ?? 0) + count) >>> 0, 4)
      link.send(Command.ACKNOWLEDGE, 0, 0, '', pair)
    }
    const stream = Buffer.concat([
      buildAnswer('i:1;'),
      event({ cmd: 3, connection_id: 5, body: 'b' }),
      buildAnswer('i:2;'),
      buildAnswer('a:1:{i:0;s:1:"g";}'),
    ])
    for (let at = 1; at < stream.length; at += 1) {
      acknowledge(at - 1)
      const givenUp = link.ask(Command.IS_ONLINE, 0)
      await expect(givenUp).rejects.toMatchObject({ code: 'QUESTION_TIMED_OUT' })
      const answers = Promise.all([
        link.ask(Command.GET_CLIENT_COUNT_BY_GROUP, DEADLINE_MS),
        link.ask(Command.GET_GROUP_ID_LIST, DEADLINE_MS),
      ])
      await php.take(3 * 28)
      await php.writeCut(stream, at)
      expect(await answers).toEqual([2, ['g']])
    }
    expect(events.filter(([what]) => what === 'message')).toHaveLength(stream.length - 1)
  })

  it('may have long answers, in many pieces', async () => {
    const { events, link, php } = await linkToPhp()
    const asked = link.ask(Command.GET_GROUP_ID_LIST, DEADLINE_MS)
    await php.frame()
    const names = Array.from({ length: 200_000 }, (_, at) => `a group with the name ${at}`)
    const answer = buildAnswer(
      `a:${names.length}:{${names.map((name, at) => `i:${at};s:${name.length}:"${name}";`).join('')}}`,
    )
    for (let at = 0; at < answer.length; at += 100_000) php.write(answer.subarray(at, at + 100_000))
    php.write(event({ cmd: 3, connection_id: 5 }))
    expect(await asked).toEqual(names)
    await vi.waitUntil(() => events.length === 2, { interval: 1 })
  })

  it.each([
    ['no value', 10, 'a:1:{i:1;}'],
    ['a session that is none', 203, 'i:5;'],
  ])('that are answered with %s are rejected, and the next one is not', async (_name, command, answer) => {
    const { link, php, settled } = await linkToPhp()
    const asked = link.ask(command, DEADLINE_MS)
    const rejected = expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_/) })
    await php.frame()
    php.write(buildAnswer(answer))
    await rejected
    await settled()
  })

  it.each([
    ['GET_ALL_CLIENT_SESSIONS', 10, '', 'a:2:{i:3;s:5:"a:1:{";i:4;s:18:"a:1:{s:1:"a";i:1;}";}'],
    [
      'SELECT',
      25,
      '{"fields":["session"],"where":[]}',
      'a:2:{i:3;a:1:{s:7:"session";s:5:"a:1:{";}i:4;a:1:{s:7:"session";s:18:"a:1:{s:1:"a";i:1;}";}}',
    ],
  ])(
    'about many clients are answered though the session of one cannot be read: %s',
    async (_name, command, ext, answer) => {
      const { link, php } = await linkToPhp()
      const asked = link.ask(command, DEADLINE_MS, 0, 0, ext)
      await php.frame()
      php.write(buildAnswer(answer))
      const [[, bad], [, good]] = [...((await asked) as Map<number, Buffer | Map<string, Buffer>>)] as [
        [number, Buffer],
        [number, Buffer],
      ]
      const sessionIn = (row: Buffer | Map<string, Buffer>) => (row instanceof Map ? row.get('session') : row)
      expect(sessionIn(bad)).toEqual(Buffer.alloc(0))
      expect(msgpack.decode(sessionIn(good)!)).toEqual({ a: 1 })
    },
  )

  it('end with the link, and later ones at once', async () => {
    const { closed, link, php } = await linkToPhp()
    const asked = [
      link.ask(Command.IS_ONLINE, DEADLINE_MS),
      link.ask(Command.SEND_TO_ONE, DEADLINE_MS, 7, SCALAR, '', 'x'),
    ]
    for (let said = 0; said < 3; said += 1) await php.frame()
    php.socket.end()
    for (const question of asked) await expect(question).rejects.toMatchObject({ code: 'LINK_CLOSED' })
    await closed
    await expect(link.ask(Command.IS_ONLINE, DEADLINE_MS)).rejects.toMatchObject({ code: 'LINK_CLOSED' })
    await expect(link.ask(Command.SEND_TO_ONE, DEADLINE_MS, 7, SCALAR, '', 'x')).rejects.toMatchObject({
      code: 'LINK_CLOSED',
    })
  })

  it('that nobody asked are not answered: that ends the link', async () => {
    const { closed, php } = await linkToPhp()
    php.write(buildAnswer('i:1;'))
    expect(await closed).toMatchObject({ code: 'FRAME_MALFORMED' })
  })
})

describe('receipts', () => {
  const ROWS = 'a:3:{i:3;a:1:{s:3:"uid";N;}i:4;a:1:{s:3:"uid";N;}i:9;a:1:{s:3:"uid";N;}}'
  const inGroups = (...lists: string[][]) =>
    `a:${lists.length}:{${lists
      .map(
        (groups, at) =>
          `i:${at + 3};a:1:{s:6:"groups";a:${groups.length}:{${groups.map((name) => `${name}${name}`).join('')}}}`,
      )
      .join('')}}`
  const [A, B, FIVE] = ['s:1:"a";', 's:1:"b";', 'i:5;']

  it.each<[string, number, string, WireFields, string, number]>([
    ['one who is there', 5, '', { cmd: 11, connection_id: 7 }, 'i:1;', 1],
    ['one who is gone', 5, '', { cmd: 11, connection_id: 7 }, 'i:0;', 0],
    [
      'uids, as often as listed',
      14,
      '["u","v",5,"u"]',
      { cmd: 16, ext: '["u","v",5,"u"]' },
      'a:3:{s:1:"u";a:2:{i:0;i:3;i:1;i:4;}s:1:"v";a:0:{}i:5;a:1:{i:0;i:9;}}',
      5,
    ],
    [
      'groups, once for each that a client is in',
      22,
      '{"group":["a","b",5],"exclude":null}',
      { cmd: 25, ext: '{"fields":["groups"],"where":{"groups":["a","b",5]}}' },
      inGroups([A], [A, B], [FIVE]),
      4,
    ],
    [
      'groups without some',
      22,
      '{"group":["a"],"exclude":{"4":4}}',
      { cmd: 25, ext: '{"fields":["groups"],"where":{"groups":["a"]}}' },
      inGroups([A], [A, B]),
      1,
    ],
    ['everybody', 6, '', { cmd: 25, ext: '{"fields":["uid"],"where":[]}' }, ROWS, 3],
    [
      'everybody but some',
      6,
      '{"exclude":{"4":4,"77":77}}',
      { cmd: 25, ext: '{"fields":["uid"],"where":[]}' },
      ROWS,
      2,
    ],
    [
      'some, in a map',
      6,
      '{"connections":{"3":3,"4":4,"9":9}}',
      { cmd: 25, ext: '{"fields":["uid"],"where":{"connection_id":[3,4,9]}}' },
      ROWS,
      3,
    ],
    [
      'nobody',
      6,
      '{"connections":[]}',
      { cmd: 25, ext: '{"fields":["uid"],"where":{"connection_id":[]}}' },
      'a:0:{}',
      0,
    ],
  ])('ask behind the message who is there: %s', async (_name, command, ext, question, answer, taken) => {
    const { link, php, settled } = await linkToPhp()
    const connectionId = command === 5 ? 7 : 0
    const receipt = link.ask(command, DEADLINE_MS, connectionId, SCALAR, ext, 'm')
    expect((await php.frame()).toString()).toBe(
      buildFrame({ cmd: command, connection_id: connectionId, flag: SCALAR, ext, body: 'm' }).toString(),
    )
    expect((await php.frame()).toString()).toBe(buildFrame({ flag: SCALAR, ...question }).toString())
    php.write(buildAnswer(answer))
    expect(await receipt).toEqual([taken, 0])
    await settled()
  })
})
