import type { PooledGateway } from '@gatewayworker/gateway-client'
import { Command, encodeFrame, Frame, gatewayKey, msgpack, silentLog } from '@gatewayworker/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { AbsentGateways } from '../src/absent-gateways.ts'
import { Acknowledger } from '../src/acknowledger.ts'
import { EventTimeout } from '../src/event-timeout.ts'
import { ServedGateway } from '../src/served-gateway.ts'

const ADDRESS = '127.0.0.1:2900'
const LOST_AFTER_MS = 30_000

/** Which gateways' clients had an onClose, by connection id. */
let closed: number[]
let absent: AbsentGateways
/** What the registers say. */
let isOnline: boolean | undefined

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  closed = []
  isOnline = true
  absent = new AbsentGateways({ isOnline: () => isOnline, log: silentLog, lostAfterMs: LOST_AFTER_MS })
})

afterEach(() => vi.useRealTimers())

/** A link to a gateway that has ended while this client was served by it. */
function lose(connectionId: number, instance: string | undefined = 'one'): ServedGateway {
  const gateway = { address: ADDRESS, key: gatewayKey(ADDRESS), link: undefined } as unknown as PooledGateway
  const events = { onClose: (clientId: string) => void closed.push(Number.parseInt(clientId.slice(12), 16)) }
  const surroundings = {
    counters: { handledEvents: 0 },
    events,
    eventTimeout: new EventTimeout(0),
    log: silentLog,
    onHandler: () => {},
    unfinished: new Map(),
  }
  const served = new ServedGateway(gateway, instance, new Acknowledger(() => undefined), surroundings)
  const body = msgpack.encode({ gatewayPort: 7272, remoteAddress: '10.0.0.1', remotePort: 50_000 })
  served.onFrame(new Frame(encodeFrame({ body, command: Command.CLIENT_CONTEXT, connectionId }), 0))
  served.onDown()
  absent.add(served)
  return served
}

describe('a gateway that is absent', () => {
  test('is lost when no register has known it for long enough', () => {
    isOnline = false
    lose(1)
    vi.advanceTimersByTime(LOST_AFTER_MS - 1)
    expect(closed).toEqual([])
    vi.advanceTimersByTime(1_000)
    expect(closed).toEqual([1])
  })

  test('is given that time from when the register has noticed on', () => {
    lose(1)
    vi.advanceTimersByTime(20_000)
    isOnline = false
    vi.advanceTimersByTime(LOST_AFTER_MS - 1_000)
    expect(closed).toEqual([])
    vi.advanceTimersByTime(3_000)
    expect(closed).toEqual([1])
  })

  test('is given all of it again when a register has known it meanwhile', () => {
    isOnline = false
    lose(1)
    vi.advanceTimersByTime(20_000)
    isOnline = true
    vi.advanceTimersByTime(2_000)
    isOnline = false
    vi.advanceTimersByTime(20_000)
    expect(closed).toEqual([])
    vi.advanceTimersByTime(12_000)
    expect(closed).toEqual([1])
  })

  test('is neither lost nor let go of while no register can be asked', () => {
    isOnline = undefined
    const served = lose(1)
    vi.advanceTimersByTime(24 * 3_600_000)
    expect([closed, served.clientCount]).toEqual([[], 1])
    absent.onUp(ADDRESS, 'another')
    expect(closed).toEqual([1])
  })

  test('does not count the time in which no register could be asked', () => {
    isOnline = false
    lose(1)
    vi.advanceTimersByTime(20_000)
    isOnline = undefined
    vi.advanceTimersByTime(3_600_000)
    isOnline = false
    vi.advanceTimersByTime(20_000)
    expect(closed).toEqual([])
  })

  test('has other workers, if a register has known it for a minute: its clients are let go of', () => {
    const served = lose(1)
    vi.advanceTimersByTime(59_000)
    expect(served.clientCount).toBe(1)
    vi.advanceTimersByTime(2_000)
    expect([closed, served.clientCount]).toEqual([[], 0])
    absent.onUp(ADDRESS, 'another')
    expect(closed).toEqual([])
  })

  test('is lost at once when another process of it is linked, and not when it is the same', () => {
    lose(1)
    absent.onUp(ADDRESS, 'one')
    lose(2)
    absent.onUp('127.0.0.1:2901', 'another')
    expect(closed).toEqual([])
    absent.onUp(ADDRESS, 'another')
    expect(closed).toEqual([2])
  })
})

test('nothing is asked and no timer runs when nothing is absent any more, or ever had clients', () => {
  lose(1)
  expect(vi.getTimerCount()).toBe(1)
  absent.onUp(ADDRESS, 'one')
  expect(vi.getTimerCount()).toBe(0)
  const served = lose(2)
  absent.onUp(ADDRESS, 'another')
  expect(served.clientCount).toBe(0)
  absent.add(served)
  expect(vi.getTimerCount()).toBe(0)
})

test.each([
  [false, [1]],
  [true, []],
  [undefined, []],
])(
  'at the end it is decided at once: with a register that says %j the clients that are closed are %j',
  (known, expected) => {
    lose(1)
    isOnline = known
    absent.close()
    expect(closed).toEqual(expected)
    lose(2)
    expect(vi.getTimerCount()).toBe(0)
  },
)
