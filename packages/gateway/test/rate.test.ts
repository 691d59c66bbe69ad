import { describe, expect, test } from 'vitest'
import { Rate, rateCosts } from '../src/rate.ts'

/** How many of so many messages at one time find something in the bucket. */
function send(rate: Rate, now: number, count: number, bytes = 0): number {
  let paid = 0
  for (let at = 0; at < count; at += 1) {
    if (rate.isOver(now)) continue
    rate.charge(now, 1, bytes)
    paid += 1
  }
  return paid
}

describe('messages', () => {
  test('a second of them at once, and then so many a second', () => {
    const rate = new Rate(rateCosts(10, 0))
    expect(send(rate, 90_000, 50)).toBe(11) // the one that finds the last bit takes more than there is
    expect(send(rate, 90_050, 50)).toBe(0)
    for (let now = 90_100; now < 95_000; now += 100) expect(send(rate, now, 50)).toBe(1)
  })

  test('what was not used for longer than a second is not there for later', () => {
    const rate = new Rate(rateCosts(10, 0))
    send(rate, 1_000, 50)
    expect(send(rate, 60_000, 50)).toBe(11)
  })

  test('who is charged for more than there was waits until that is paid', () => {
    const rate = new Rate(rateCosts(10, 0))
    for (let count = 0; count < 40; count += 1) rate.charge(10_000, 1, 1)
    expect(rate.isOver(12_999)).toBe(true)
    expect(rate.isOver(13_000)).toBe(false)
  })
})

test('bytes: a message longer than the bucket passes, and is paid for afterwards', () => {
  const rate = new Rate(rateCosts(0, 1_000))
  expect(send(rate, 10_000, 2, 5_000)).toBe(1)
  expect(rate.isOver(13_999)).toBe(true)
  expect(send(rate, 14_001, 2, 1)).toBe(2)
})

test('without limits nobody is ever over', () => {
  const rate = new Rate(rateCosts(0, 0))
  expect(send(rate, 10, 100_000, 1_000_000)).toBe(100_000)
})
