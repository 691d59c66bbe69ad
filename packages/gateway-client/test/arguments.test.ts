import { Flag, MAX_SESSION_BYTES } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { GatewayClient, GatewayWorkerError } from '../src/index.ts'
import { encodeMessage } from '../src/message.ts'

// Nothing listens there: an argument is judged before anything is connected.
const push = new GatewayClient({ registerAddress: '127.0.0.1:1' })
const ID = '7f0000010b5400000001'
const odd = (value: unknown) => value as never

const BAD_IDS = [
  '',
  'x',
  '7f0000010b540000000',
  '7f0000010b54000000011',
  '7F0000010B5400000001',
  5,
  null,
  undefined,
  {},
]
const CYCLE: Record<string, unknown> = {}
CYCLE.itself = CYCLE
const BAD_MESSAGES = [undefined, () => {}, Symbol('x'), 5n, CYCLE]
const BAD_NAMES = ['', '0', 0, null, undefined, true, 1.5, Number.NaN, 2 ** 60, {}, ['a']]
const BAD_SESSIONS = [
  null,
  undefined,
  [],
  'x',
  5,
  new Map(),
  new Date(),
  Buffer.from('x'),
  { long: 'x'.repeat(MAX_SESSION_BYTES) },
  { tooBig: 2n ** 64n },
  { symbol: Symbol('x') },
  CYCLE,
]
const BAD_LISTS = [null, undefined, 'x', 5, {}]

/** The calls that take one of these, with the code that a bad one is answered with. */
const CALLS: [code: string, bad: readonly unknown[], calls: Record<string, (value: never) => Promise<unknown>>][] = [
  [
    'BAD_CLIENT_ID',
    BAD_IDS,
    {
      bindUid: (id) => push.bindUid(id, 'u'),
      closeClient: (id) => push.closeClient(id),
      destoryClient: (id) => push.destoryClient(id),
      destroyClient: (id) => push.destroyClient(id),
      getSession: (id) => push.getSession(id),
      getUidByClientId: (id) => push.getUidByClientId(id),
      isOnline: (id) => push.isOnline(id),
      joinGroup: (id) => push.joinGroup(id, 'g'),
      leaveGroup: (id) => push.leaveGroup(id, 'g'),
      'sendToAll, chosen': (id) => push.sendToAll('m', [ID, id]),
      'sendToAll, one by itself': (id) => push.sendToAll('m', id ?? 'x'),
      'sendToAll, excluded': (id) => push.sendToAll('m', null, [ID, id]),
      sendToClient: (id) => push.sendToClient(id, 'm'),
      'sendToGroup, excluded': (id) => push.sendToGroup('g', 'm', [ID, id]),
      setSession: (id) => push.setSession(id, {}),
      unbindUid: (id) => push.unbindUid(id),
      updateSession: (id) => push.updateSession(id, {}),
    },
  ],
  [
    'BAD_UID',
    BAD_NAMES,
    {
      batchGetClientIdByUid: (uid) => push.batchGetClientIdByUid(['u', uid]),
      bindUid: (uid) => push.bindUid(ID, uid),
      getClientIdByUid: (uid) => push.getClientIdByUid(uid),
      isUidOnline: (uid) => push.isUidOnline(uid),
      isUidsOnline: (uid) => push.isUidsOnline(['u', uid]),
      sendToUid: (uid) => push.sendToUid(['u', uid], 'm'),
      'sendToUid, one': (uid) => push.sendToUid(Array.isArray(uid) ? '' : uid, 'm'),
    },
  ],
  [
    'BAD_GROUP',
    BAD_NAMES,
    {
      batchGetClientIdCountByGroup: (group) => push.batchGetClientIdCountByGroup(['g', group]),
      getClientCountByGroup: (group) => push.getClientCountByGroup(group),
      getClientIdCountByGroup: (group) => push.getClientIdCountByGroup(group),
      getClientIdListByGroup: (group) => push.getClientIdListByGroup(group),
      getClientSessionsByGroup: (group) => push.getClientSessionsByGroup(group),
      getUidCountByGroup: (group) => push.getUidCountByGroup(group),
      getUidListByGroup: (group) => push.getUidListByGroup(group),
      joinGroup: (group) => push.joinGroup(ID, group),
      leaveGroup: (group) => push.leaveGroup(ID, group),
      sendToGroup: (group) => push.sendToGroup(['g', group], 'm'),
      ungroup: (group) => push.ungroup(group),
    },
  ],
  [
    'BAD_UID',
    BAD_LISTS,
    {
      batchGetClientIdByUid: (uids) => push.batchGetClientIdByUid(uids),
      isUidsOnline: (uids) => push.isUidsOnline(uids),
    },
  ],
  ['BAD_GROUP', BAD_LISTS, { batchGetClientIdCountByGroup: (groups) => push.batchGetClientIdCountByGroup(groups) }],
  [
    'BAD_MESSAGE',
    BAD_MESSAGES,
    {
      sendToAll: (message) => push.sendToAll(message),
      sendToClient: (message) => push.sendToClient(ID, message),
      sendToGroup: (message) => push.sendToGroup('g', message),
      sendToUid: (message) => push.sendToUid('u', message),
    },
  ],
  [
    'BAD_SESSION',
    BAD_SESSIONS,
    {
      setSession: (session) => push.setSession(ID, session),
      updateSession: (session) => push.updateSession(ID, session),
    },
  ],
]

describe.each(CALLS)('%s', (code, bad, calls) => {
  test.each(Object.keys(calls))('%s', async (name) => {
    for (const value of bad) {
      const error = await calls[name]!(odd(value)).then(
        () => undefined,
        (reason) => reason,
      )
      expect(error, `${name}(${String(value)})`).toBeInstanceOf(GatewayWorkerError)
      expect(error).toMatchObject({ advice: expect.any(String), code })
    }
  })
})

test.each(['sendToCurrentClient', 'closeCurrentClient', 'destroyCurrentClient'] as const)(
  '%s outside a handler is NO_CURRENT_CLIENT',
  async (name) => {
    await expect(push[name]('m')).rejects.toMatchObject({ code: 'NO_CURRENT_CLIENT' })
  },
)

describe('a message', () => {
  test.each([
    ['text', '张', '张', Flag.SCALAR],
    ['no text', '', '', Flag.SCALAR],
    ['bytes', Buffer.from([1]), Buffer.from([1]), Flag.SCALAR | Flag.BINARY],
    ['a typed array', new Uint8Array([1]), new Uint8Array([1]), Flag.SCALAR | Flag.BINARY],
    ['an object', { a: [1] }, '{"a":[1]}', Flag.SCALAR],
    ['a list', [1, 'a'], '[1,"a"]', Flag.SCALAR],
    ['a number', 1.5, '1.5', Flag.SCALAR],
    ['null', null, 'null', Flag.SCALAR],
    ['a boolean', false, 'false', Flag.SCALAR],
  ])('%s', (_what, message, body, flag) => {
    expect(encodeMessage(message)).toEqual({ body, flag })
    for (const raw of [true, { raw: true }])
      expect(encodeMessage(message, raw)).toEqual({ body, flag: flag | Flag.RAW })
    for (const raw of [false, {}, { raw: false }]) expect(encodeMessage(message, raw).flag).toBe(flag)
  })
})

test.each([
  '127.0.0.1',
  'foo:bar',
  'localhost:99999',
  'ws://127.0.0.1:1236',
  '',
  undefined,
  [],
  ['127.0.0.1:1236', 'x'],
])('the register address %j is refused at once', (address) => {
  const refusal = expect.objectContaining({ code: 'BAD_REGISTER_ADDRESS' })
  expect(() => {
    push.registerAddress = odd(address)
  }).toThrow(refusal)
  if (address !== undefined) expect(() => new GatewayClient({ registerAddress: odd(address) })).toThrow(refusal)
})
