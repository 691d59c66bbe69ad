import { expect, it } from 'vitest'
import { Strangers } from '../src/strangers.ts'

it('strangers are taken out when their time is over, and not those who have gone or are known', () => {
  const strangers = new Strangers<string>(100)
  strangers.add('a', 0)
  strangers.add('b', 10)
  strangers.add('c', 20)
  strangers.delete('b')
  expect(strangers.takeLate(99)).toEqual([])
  expect(strangers.takeLate(100)).toEqual(['a'])
  expect(strangers.takeLate(200)).toEqual(['c'])
  expect(strangers.takeLate(200)).toEqual([])
})

it('a stranger beyond 1 024 makes the oldest go, unless that has come within the last second', () => {
  const strangers = new Strangers<number>(10_000)
  for (let at = 0; at < 1024; at += 1) expect(strangers.add(at, at)).toBeUndefined()
  expect(strangers.add(1024, 1_000)).toBe(0)
  expect(strangers.add(1025, 1_000)).toBeUndefined() // the oldest came 999 ms ago
  expect(strangers.add(1026, 1_001)).toBe(1)
  strangers.delete(2)
  strangers.delete(3)
  expect(strangers.add(1027, 5_000)).toBeUndefined()
  expect(strangers.add(1028, 5_000)).toBe(4)
})
