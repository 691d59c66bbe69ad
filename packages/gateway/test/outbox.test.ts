import { setImmediate as endOfTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Flushable, Outbox, Run } from '../src/outbox.ts'

/** A connection as ClientConnection uses the outbox; what it would write is kept. */
class Connection implements Flushable {
  readonly writes: Buffer[] = []
  readonly #outbox: Outbox
  run: Run | undefined

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  send(frame: Buffer): void {
    this.run = (this.run ?? this.#outbox.begin(this)).append(frame)
  }

  flush(): void {
    this.writes.push(this.run!.join())
    this.run = undefined
  }
}

describe('a run', () => {
  test('is joined in the order of its frames', () => {
    const run = new Run().append(Buffer.from('a')).append(Buffer.from('bc')).append(Buffer.from('d'))
    expect(String(run.join())).toBe('abcd')
    expect(run.byteLength).toBe(4)
  })

  test('is shared by those who were sent the same buffers, and joined once', () => {
    const root = new Run()
    const [first, second] = [Buffer.from('a'), Buffer.from('b')]
    const one = root.append(first).append(second)
    const other = root.append(first).append(second)
    expect(other).toBe(one)
    expect(other.join()).toBe(one.join())
  })

  test('is shared by those of two protocols who come in turn', () => {
    const root = new Run()
    const [webSocket, event] = [Buffer.from('a'), Buffer.from('b')]
    const runs = [webSocket, event, webSocket, event].map((frame) => root.append(frame))
    expect(runs[2]).toBe(runs[0])
    expect(runs[3]).toBe(runs[1])
  })

  test('of one frame is that frame, not a copy', () => {
    const frame = Buffer.from('a')
    expect(new Run().append(frame).join()).toBe(frame)
  })

  test('is not shared for an equal buffer, which somebody may still write into', () => {
    const root = new Run()
    expect(root.append(Buffer.from('a'))).not.toBe(root.append(Buffer.from('a')))
  })

  test('can be gone on with after it was joined', () => {
    const run = new Run().append(Buffer.from('a'))
    run.join()
    expect(String(run.append(Buffer.from('b')).join())).toBe('ab')
    expect(String(run.join())).toBe('a')
  })
})

describe('an outbox', () => {
  test('flushes each connection once, at the end of the turn', async () => {
    const outbox = new Outbox()
    const [one, other] = [new Connection(outbox), new Connection(outbox)]
    for (const text of ['a', 'b', 'c']) for (const connection of [one, other]) connection.send(Buffer.from(text))
    expect([one.writes, other.writes]).toEqual([[], []])
    await endOfTurn()
    expect([one.writes, other.writes].map((writes) => writes.map(String))).toEqual([['abc'], ['abc']])
  })

  test('begins anew in the next turn, and keeps nothing of the one before', async () => {
    const outbox = new Outbox()
    const connection = new Connection(outbox)
    const root = outbox.begin({ flush: () => {} })
    connection.send(Buffer.from('a'))
    await endOfTurn()
    expect(outbox.begin({ flush: () => {} })).not.toBe(root)
    connection.send(Buffer.from('b'))
    await endOfTurn()
    expect(connection.writes.map(String)).toEqual(['a', 'b'])
  })

  test('takes what is sent while it flushes into the turn after', async () => {
    const outbox = new Outbox()
    const late = new Connection(outbox)
    const early = new Connection(outbox)
    early.flush = () => late.send(Buffer.from('late'))
    early.send(Buffer.from('early'))
    await endOfTurn()
    expect(late.writes).toEqual([])
    await endOfTurn()
    expect(late.writes.map(String)).toEqual(['late'])
  })
})

test('every connection gets its frames in its own order, however broadcasts and single sends interleave', async () => {
  const sends = fc.array(
    fc.record({ to: fc.uniqueArray(fc.nat({ max: 4 }), { minLength: 1, maxLength: 5 }), endsTurn: fc.boolean() }),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(sends, async (steps) => {
      const outbox = new Outbox()
      const connections = Array.from({ length: 5 }, () => new Connection(outbox))
      const expected = connections.map(() => '')
      for (const [at, { to, endsTurn }] of steps.entries()) {
        const frame = Buffer.from(`<${at}>`)
        for (const nth of to) {
          connections[nth]!.send(frame)
          expected[nth] += `<${at}>`
        }
        if (endsTurn) await endOfTurn()
      }
      await endOfTurn()
      expect(connections.map(({ writes }) => writes.join(''))).toEqual(expected)
    }),
    { numRuns: 100 },
  )
})
