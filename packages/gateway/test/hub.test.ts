import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Hub, type HubMember } from '../src/hub.ts'

class Member implements HubMember {
  readonly connectionId: number
  groups: Set<string> | undefined
  uid: string | undefined

  constructor(connectionId: number) {
    this.connectionId = connectionId
  }
}

function hubOf(count: number): [Hub<Member>, ...Member[]] {
  const hub = new Hub<Member>(1)
  const members = Array.from({ length: count }, () => new Member(hub.takeConnectionId()))
  for (const member of members) hub.add(member)
  return [hub, ...members]
}

describe('connection ids', () => {
  test('count up from the first', () => {
    const hub = new Hub<Member>(7)
    expect([hub.takeConnectionId(), hub.takeConnectionId()]).toEqual([7, 8])
  })

  test('go on at 1 after 2^32-1', () => {
    const hub = new Hub<Member>(0xffffffff)
    expect([hub.takeConnectionId(), hub.takeConnectionId()]).toEqual([0xffffffff, 1])
  })

  test('skip those in use', () => {
    const hub = new Hub<Member>(0xffffffff)
    for (const id of [0xffffffff, 1, 2, 4]) hub.add(new Member(id))
    expect([hub.takeConnectionId(), hub.takeConnectionId()]).toEqual([3, 5])
  })

  test('begin somewhere else in every process', () => {
    const firsts = Array.from({ length: 20 }, () => new Hub<Member>().takeConnectionId())
    expect(new Set(firsts).size).toBeGreaterThan(1)
    for (const first of firsts) expect(first).toSatisfy((id: number) => id >= 1 && id <= 0xffffffff)
  })
})

describe('uids', () => {
  test('another uid takes the place of the first', () => {
    const [hub, member] = hubOf(1)
    hub.bind(member!, 'a')
    hub.bind(member!, 'b')
    expect([...hub.membersOfUid('a')]).toEqual([])
    expect([...hub.membersOfUid('b')]).toEqual([member])
  })

  test('the same uid again changes nothing, not even the order', () => {
    const [hub, first, second] = hubOf(2)
    hub.bind(first!, 'a')
    hub.bind(second!, 'a')
    hub.bind(first!, 'a')
    expect([...hub.membersOfUid('a')]).toEqual([first, second])
  })

  test('unbind without a uid is nothing', () => {
    const [hub, member] = hubOf(1)
    hub.unbind(member!)
    expect(hub.entryCounts).toEqual({ groups: 0, members: 1, uids: 0 })
  })
})

describe('groups', () => {
  test('have members in the order in which they joined, and come in the order of their first member', () => {
    const [hub, first, second, third] = hubOf(3)
    hub.join(second!, 'b')
    hub.join(first!, 'a')
    hub.join(third!, 'b')
    hub.join(first!, 'b')
    expect([...hub.groups()]).toEqual(['b', 'a'])
    expect([...hub.membersOfGroup('b')]).toEqual([second, third, first])
  })

  test('leaving a group that the member is not in changes nothing', () => {
    const [hub, first, second] = hubOf(2)
    hub.join(first!, 'a')
    hub.leave(second!, 'a')
    hub.leave(first!, 'b')
    expect([...hub.membersOfGroup('a')]).toEqual([first])
  })

  test('ungroup takes everybody out of that group only', () => {
    const [hub, first, second] = hubOf(2)
    for (const member of [first!, second!]) for (const group of ['a', 'b']) hub.join(member, group)
    hub.ungroup('a')
    expect([...hub.groups()]).toEqual(['b'])
    expect(first!.groups).toEqual(new Set(['b']))
  })
})

test('a removed member is out of everything, once', () => {
  const [hub, member] = hubOf(1)
  hub.bind(member!, 'a')
  hub.join(member!, 'g')
  expect(hub.remove(member!)).toBe(true)
  expect(hub.remove(member!)).toBe(false)
  expect(hub.get(member!.connectionId)).toBeUndefined()
  expect([member!.uid, member!.groups]).toEqual([undefined, undefined])
  expect(hub.entryCounts).toEqual({ groups: 0, members: 0, uids: 0 })
})

test('is the same as a list that is searched, whatever is done', () => {
  const names = fc.constantFrom('a', 'b', 'c')
  const who = fc.nat({ max: 7 })
  const step = fc.oneof(
    fc.record({
      verb: fc.constantFrom('bind', 'join', 'leave') as fc.Arbitrary<'bind' | 'join' | 'leave'>,
      name: names,
      who,
    }),
    fc.record({
      verb: fc.constantFrom('add', 'remove', 'unbind') as fc.Arbitrary<'add' | 'remove' | 'unbind'>,
      name: names,
      who,
    }),
    fc.record({ verb: fc.constant('ungroup' as const), name: names, who }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const hub = new Hub<Member>(1)
      const model: { member: Member; uid: string | undefined; groups: Set<string> }[] = []
      const rowOf = (nth: number) => model[nth % Math.max(model.length, 1)]
      for (const { verb, name, who } of steps) {
        const row = rowOf(who)
        if (verb === 'add') {
          const member = new Member(hub.takeConnectionId())
          hub.add(member)
          model.push({ member, uid: undefined, groups: new Set() })
        } else if (verb === 'ungroup') {
          hub.ungroup(name)
          for (const { groups } of model) groups.delete(name)
        } else if (row === undefined) {
        } else if (verb === 'remove') {
          hub.remove(row.member)
          model.splice(model.indexOf(row), 1)
        } else if (verb === 'bind') {
          hub.bind(row.member, name)
          row.uid = name
        } else if (verb === 'unbind') {
          hub.unbind(row.member)
          row.uid = undefined
        } else {
          hub[verb](row.member, name)
          if (verb === 'join') row.groups.add(name)
          else row.groups.delete(name)
        }
        expect([...hub.members()]).toEqual(model.map(({ member }) => member))
        for (const asked of ['a', 'b', 'c']) {
          const membersOf = (fits: (row: (typeof model)[number]) => boolean) =>
            new Set(model.filter(fits).map(({ member }) => member))
          expect(new Set(hub.membersOfUid(asked))).toEqual(membersOf(({ uid }) => uid === asked))
          expect(new Set(hub.membersOfGroup(asked))).toEqual(membersOf(({ groups }) => groups.has(asked)))
        }
        for (const { member, uid, groups } of model) {
          expect(member.uid).toBe(uid)
          expect(member.groups ?? new Set()).toEqual(groups)
        }
        expect(hub.entryCounts).toEqual({
          groups: new Set(model.flatMap(({ groups }) => [...groups])).size,
          members: model.length,
          uids: new Set(model.map(({ uid }) => uid).filter(Boolean)).size,
        })
      }
    }),
    { numRuns: 200 },
  )
})

test('100 000 clients that come, bind, join and go leave nothing behind', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const hub = new Hub<Member>()
  const cycle = (count: number) => {
    for (let at = 0; at < count; at += 1) {
      const member = new Member(hub.takeConnectionId())
      hub.add(member)
      hub.bind(member, `uid ${at}`)
      hub.join(member, `group ${at}`)
      hub.join(member, 'everybody')
      hub.remove(member)
    }
  }
  cycle(1_000)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  cycle(100_000)
  collectGarbage()
  expect(hub.entryCounts).toEqual({ groups: 0, members: 0, uids: 0 })
  // Ten bytes a client would already be more.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000)
})
