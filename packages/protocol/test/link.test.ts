import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command, Flag } from '../src/commands.ts'
import { GatewayWorkerError } from '../src/errors.ts'
import { Frame } from '../src/frame.ts'
import type { Link } from '../src/link.ts'
import { buildFrame } from './build-frame.ts'
import { endOfTurn, keptLog, linkPair, linkToSocket, readFrames, readToEnd, signal } from './link-pair.ts'

/** How often the socket is handed bytes for the kernel: what reaches it corked arrives as one _writev. */
function countWrites(socket: Socket): () => number {
  const write = vi.spyOn(socket, '_write')
  const writev = vi.spyOn(socket, '_writev' as '_write')
  return () => write.mock.calls.length + writev.mock.calls.length
}

/** A body whose every byte follows from its number and size, so that no piece of another one can pass for it. */
function bodyOf(n: number, size: number): Buffer {
  const body = Buffer.alloc(size, `${n}.`)
  if (size >= 4) body.writeUInt32BE(n, size - 4)
  return body
}

/** The same sizes in each run: mostly small, some as long as a page of output, some longer. */
function sizeOf(n: number): number {
  const random = (Math.imul(n + 1, 2654435761) >>> 0) / 2 ** 32
  if (n % 97 === 0) return 60_000 + Math.floor(random * 200_000)
  return Math.floor(random * (n % 5 === 0 ? 20_000 : 300))
}

/** Also with an error. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', resolve)))

describe('output', () => {
  it('of one turn leaves in one write at the end of the turn, in order', async () => {
    const { link, near, far } = await linkToSocket()
    const writes = countWrites(near)
    const received: number[] = []
    const all = readFrames(far, (frame) => received.push(frame.connectionId) === 500)
    for (let n = 0; n < 500; n += 1) link.send(Command.SEND_TO_ONE, n, 0, '', 'x'.repeat(n))
    expect(writes()).toBe(0)
    expect(link.bufferedBytes).toBe(500 * 28 + (499 * 500) / 2)
    await all
    expect(writes()).toBe(1)
    expect(received).toEqual(Array.from({ length: 500 }, (_, n) => n))
  })

  it('of one turn leaves in one write also if it comes in several steps of promises', async () => {
    const { link, near, far } = await linkToSocket()
    const writes = countWrites(near)
    let frames = 0
    const all = readFrames(far, () => ++frames === 10)
    for (let n = 0; n < 10; n += 1) {
      link.send(Command.SEND_TO_ONE, n)
      await Promise.resolve()
    }
    await all
    expect(writes()).toBe(1)
  })

  it('of several pages leaves in one write too', async () => {
    const { link, near, far } = await linkToSocket()
    const writes = countWrites(near)
    let frames = 0
    const all = readFrames(far, () => ++frames === 12)
    for (let n = 0; n < 12; n += 1) link.send(Command.SEND_TO_ONE, n, 0, '', Buffer.alloc(30_000))
    await all
    expect(writes()).toBe(1)
  })

  it('of a frame alone leaves in the turn in which it came', async () => {
    const { link, near } = await linkToSocket()
    link.send(Command.PING)
    await endOfTurn()
    expect(near.bytesWritten).toBe(28)
    expect(link.bufferedBytes).toBe(0)
  })

  it('leaves at once when flushed, and not again', async () => {
    const { link, near } = await linkToSocket()
    const writes = countWrites(near)
    link.send(Command.PING)
    link.flush()
    expect(writes()).toBe(1)
    link.flush()
    await endOfTurn()
    expect(writes()).toBe(1)
  })

  it('has the fields, ext and body of the frame as wire.md lays them out', async () => {
    const { link, far } = await linkToSocket()
    const whole = readToEnd(far)
    link.send(Command.SEND_TO_UID, 5, Flag.SCALAR | Flag.BINARY, '["ü"]', Buffer.from([0, 255]), 77)
    link.close()
    expect(await whole).toEqual(
      buildFrame({ cmd: 14, connection_id: 5, flag: 5, ext: '["ü"]', body: Buffer.from([0, 255]), local_ip: 77 }),
    )
  })

  it('arrives byte for byte while the memory it is written into is used again, with a reader that stops and goes', async () => {
    const full = vi.fn()
    let room = signal()
    const drain = vi.fn(() => room.resolve())
    const { link, far } = await linkToSocket(
      {
        onFull: () => {
          full()
          room = signal()
          far.resume()
        },
        onDrain: drain,
      },
      { bufferSizeBytes: 500_000 },
    )
    const count = 4_000
    let read = 0
    let wrong = 0
    const all = readFrames(far, (frame) => {
      if (frame.connectionId !== read || !frame.body.equals(bodyOf(read, sizeOf(read)))) wrong += 1
      read += 1
      return read === count
    })
    for (let n = 0; n < count; n += 1) {
      link.send(Command.SEND_TO_ONE, n, 0, '', bodyOf(n, sizeOf(n)))
      if (n % 7 === 0) await endOfTurn() // turns of one to seven frames: pages are sent half filled and filled again
      if (n % 800 === 799) far.pause()
      if (link.isFull) await room.promise
    }
    far.resume()
    await all
    expect(wrong).toBe(0)
    expect(full).toHaveBeenCalled()
    expect(drain).toHaveBeenCalledTimes(full.mock.calls.length)
  })

  it('longer than a peer takes is refused and leaves the link as it was', async () => {
    const { link, far } = await linkToSocket()
    const seen: string[] = []
    const all = readFrames(far, (frame) => seen.push(frame.bodyText) === 2)
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'before')
    expect(() => link.send(Command.SEND_TO_ONE, 1, 0, '', Buffer.alloc(10 * 1024 * 1024 - 27))).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
    )
    await expect(link.ask(Command.SELECT, 1000, 0, 0, Buffer.alloc(10 * 1024 * 1024))).rejects.toMatchObject({
      code: 'FRAME_TOO_LONG',
    })
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'after')
    await all
    expect(seen).toEqual(['before', 'after'])
  })
})

const FILL = Buffer.alloc(100_000)

describe('a full link', () => {
  /** A link whose peer does not read, filled until it says so. */
  async function fullLink() {
    const calls: string[] = []
    const drained = signal<number>()
    const pair = await linkToSocket(
      {
        onFull: () => calls.push('full'),
        onDrain: (link) => {
          calls.push('drain')
          drained.resolve(link.bufferedBytes)
        },
      },
      { bufferSizeBytes: 1_000_000 },
    )
    let sent = 0
    while (!pair.link.isFull) {
      pair.link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
      sent += 1
      await endOfTurn() // what the kernel takes goes there first; the first that it does not take leaves alone, before the rest
    }
    return { ...pair, calls, drained: drained.promise, sent }
  }

  it('says so once, still takes frames, and says once that it has room again when half has left', async () => {
    const { link, far, calls, drained, sent } = await fullLink()
    expect(link.bufferedBytes).toBeGreaterThanOrEqual(1_000_000)
    for (let n = 0; n < 5; n += 1) link.send(Command.SEND_TO_ONE, 1)
    await endOfTurn()
    expect(calls).toEqual(['full'])
    let frames = 0
    const all = readFrames(far, () => ++frames === sent + 5)
    expect(await drained).toBeLessThanOrEqual(500_000)
    expect(link.isFull).toBe(false)
    await all
    await endOfTurn()
    expect(calls).toEqual(['full', 'drain'])
  })

  it('has no output any more when it closes, and does not say that there is room', async () => {
    const { link, near, far, calls } = await fullLink()
    far.destroy()
    await closed(near)
    expect(calls).toEqual(['full'])
    expect(link.bufferedBytes).toBe(0)
  })
})

describe('written', () => {
  const MORE_THAN_UNDER_WAY = 200

  it('is nothing to wait for where the kernel takes it all: it is on its way then', async () => {
    const { link, far } = await linkToSocket()
    expect(link.written()).toBeUndefined()
    const all = readFrames(far, ({ bodyText }) => bodyText === 'b')
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'a')
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'b')
    expect(link.written()).toBeUndefined()
    expect(link.bufferedBytes).toBe(0)
    await all
  })

  it('is waited for until the kernel has taken all that was said before', async () => {
    const { link, far } = await linkToSocket()
    for (let n = 0; n < MORE_THAN_UNDER_WAY; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    let isWritten = false
    const written = link.written()?.then(() => {
      isWritten = true
    })
    expect(written).toBeDefined()
    for (let turn = 0; turn < 100; turn += 1) await endOfTurn()
    expect(isWritten).toBe(false)
    let frames = 0
    const all = readFrames(far, () => ++frames === MORE_THAN_UNDER_WAY)
    await written
    expect(link.bufferedBytes).toBe(0)
    await all
  })

  it('is waited for half a second; then the peer is behind, and nobody waits for it until it has caught up', async () => {
    const { link, far } = await linkToSocket()
    for (let n = 0; n < MORE_THAN_UNDER_WAY; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    const begin = performance.now()
    await link.written()
    expect(performance.now() - begin).toBeGreaterThan(490)
    expect(link.bufferedBytes).toBeGreaterThan(0)
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'later')
    expect(link.written()).toBeUndefined()
    const all = readFrames(far, ({ bodyText }) => bodyText === 'later')
    await all
    await vi.waitUntil(() => link.bufferedBytes === 0)
    far.pause()
    for (let n = 0; n < MORE_THAN_UNDER_WAY; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    expect(link.written()).toBeDefined()
  })

  it('writes nothing after the end of the link, whose last output arrives', async () => {
    const onClose = vi.fn()
    const { link, near, far } = await linkToSocket({ onClose })
    for (let n = 0; n < MORE_THAN_UNDER_WAY; n += 1) link.send(Command.SEND_TO_ONE, n, 0, '', FILL)
    const ended = link.close()
    const written = link.written() // as an acknowledgement does whose handler settles late
    expect(written).toBeDefined()
    let frames = 0
    await Promise.all([written, ended, readFrames(far, () => ++frames === MORE_THAN_UNDER_WAY)])
    expect(link.written()).toBeUndefined()
    await closed(near)
    expect(onClose.mock.calls).toEqual([[link, undefined]])
  })

  it('is waited for no more when the link closes, and not at all afterwards', async () => {
    const { link, near, far } = await linkToSocket()
    for (let n = 0; n < MORE_THAN_UNDER_WAY; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    const written = link.written()
    expect(written).toBeDefined()
    far.destroy()
    await written
    await closed(near)
    expect(link.written()).toBeUndefined()
  })
})

describe('input', () => {
  it('is handed on frame by frame, and PING and ANSWER are not', async () => {
    const seen: string[] = []
    const { link, far } = await linkToSocket({
      onFrame: (frame, of) => {
        expect(of).toBe(link)
        seen.push(`${frame.command} ${frame.bodyText}`)
        if (frame.bodyText === 'last') far.end()
      },
    })
    far.write(
      Buffer.concat([
        buildFrame({ cmd: 201 }),
        buildFrame({ cmd: 5, body: 'first' }),
        buildFrame({ cmd: 102, local_ip: 9, body: 'unasked' }),
        buildFrame({ cmd: 3, body: 'last' }),
      ]),
    )
    await once(far, 'close')
    expect(seen).toEqual(['5 first', '3 last'])
  })

  it('that came before the end of the stream is handed on, however it was cut', async () => {
    const seen: string[] = []
    const closed = signal<GatewayWorkerError | undefined>()
    const { far } = await linkToSocket({
      onFrame: (frame) => seen.push(frame.bodyText),
      onClose: (_link, error) => closed.resolve(error),
    })
    const stream = Buffer.concat(['a', 'b', 'c'].map((body) => buildFrame({ cmd: 5, body })))
    far.write(stream.subarray(0, 40))
    far.end(stream.subarray(40))
    expect(await closed.promise).toBeUndefined()
    expect(seen).toEqual(['a', 'b', 'c'])
  })

  it('stops while the link is paused, and goes on after', async () => {
    const seen: string[] = []
    const resumed = signal()
    const { link, far } = await linkToSocket({
      onFrame: (frame) => {
        seen.push(frame.bodyText)
        if (frame.bodyText === 'one') link.pause()
        else resumed.resolve()
      },
    })
    far.write(buildFrame({ cmd: 5, body: 'one' }))
    const full = Buffer.alloc(8_000_000)
    // More than the kernel keeps: that the writer gets stuck proves that nobody reads.
    far.write(buildFrame({ cmd: 5, body: full }))
    await vi.waitUntil(() => seen.length === 1)
    await endOfTurn()
    expect(far.writableLength).toBeGreaterThan(0)
    expect(seen).toEqual(['one'])
    link.resume()
    await resumed.promise
    expect(seen[1]).toHaveLength(full.length)
  })

  it('stops behind the frame at which the link is paused, though there are more in the chunk, and goes on in order', async () => {
    const seen: string[] = []
    const last = signal()
    const { link, far } = await linkToSocket({
      onFrame: ({ bodyText }) => {
        seen.push(bodyText)
        if (bodyText === 'last') last.resolve()
        else if (bodyText !== 'b') link.pause()
      },
    })
    far.write(Buffer.concat(['a', 'b', 'c', 'd'].map((body) => buildFrame({ cmd: 5, body }))))
    await vi.waitUntil(() => seen.length > 0)
    far.write(buildFrame({ cmd: 5, body: 'last' }))
    for (let turn = 0; turn < 10; turn += 1) await endOfTurn()
    expect(seen).toEqual(['a'])
    link.resume()
    await vi.waitUntil(() => seen.length > 1)
    for (let turn = 0; turn < 10; turn += 1) await endOfTurn()
    expect(seen).toEqual(['a', 'b', 'c'])
    link.resume()
    await vi.waitUntil(() => seen.length > 3)
    link.resume()
    await last.promise
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'last'])
  })

  it.each([
    ['FRAME_TOO_SHORT', Buffer.alloc(28)],
    ['FRAME_TOO_LONG', Buffer.from('GET / HTTP/1.1\r\n')],
    ['FRAME_MALFORMED', Buffer.from(buildFrame({ cmd: 5 })).fill(1, 24)],
  ])('that is none ends the link with %s, after the frames before it', async (code, garbage) => {
    const seen: string[] = []
    const closed = signal<GatewayWorkerError | undefined>()
    const { link, far } = await linkToSocket({
      onFrame: (frame) => seen.push(frame.bodyText),
      onClose: (_link, error) => closed.resolve(error),
    })
    const question = link.ask(Command.IS_ONLINE, 5000, 1)
    far.write(Buffer.concat([buildFrame({ cmd: 5, body: 'good' }), garbage]))
    await expect(question).rejects.toMatchObject({ code })
    expect(await closed.promise).toMatchObject({ code })
    expect(link.closedError.code).toBe(code)
    expect(seen).toEqual(['good'])
  })

  it('that a handler throws at closes that link and no other, and is logged', async () => {
    const log = keptLog()
    const closed = signal<GatewayWorkerError | undefined>()
    const mistake = new TypeError('a mistake of ours')
    let calls = 0
    const broken = await linkToSocket(
      {
        onFrame: () => {
          calls += 1
          throw mistake
        },
        onClose: (_link, error) => closed.resolve(error),
      },
      { log },
    )
    const well = await linkPair({}, { onFrame: (frame, link) => link.answer(frame.id, frame.bodyText) })
    broken.far.write(Buffer.concat([buildFrame({ cmd: 5 }), buildFrame({ cmd: 5 })]))
    expect(await closed.promise).toMatchObject({ code: 'BAD_PARAMETERS', cause: mistake })
    expect(calls).toBe(1)
    expect(log.lines).toEqual([
      { level: 'error', details: { peer: 'the peer', err: mistake }, message: expect.any(String) },
    ])
    expect(await well.near.ask(Command.SELECT, 5000, 0, 0, '', 'still here')).toBe('still here')
  })

  it('that a handler refuses with a code ends the link with it, without noise', async () => {
    const log = keptLog()
    const closed = signal<GatewayWorkerError | undefined>()
    const { far } = await linkToSocket(
      {
        onFrame: () => {
          throw new GatewayWorkerError('BAD_HELLO', 'who are you?')
        },
        onClose: (_link, error) => closed.resolve(error),
      },
      { log },
    )
    far.write(buildFrame({ cmd: 5 }))
    expect(await closed.promise).toMatchObject({ code: 'BAD_HELLO' })
    expect(log.lines).toEqual([])
  })
})

describe('a question', () => {
  it('is answered on the same link as many at once, in any order', async () => {
    const open: Frame[] = []
    const { near } = await linkPair(
      {},
      {
        onFrame: (frame, link) => {
          open.push(new Frame(Buffer.concat([buildFrame({ cmd: 1, local_ip: frame.id, body: frame.body })]), 0))
          if (open.length < 100) return
          for (const asked of open.toReversed()) link.answer(asked.id, `answer to ${asked.bodyText}`)
        },
      },
    )
    const answers = Array.from({ length: 100 }, (_, n) => near.ask(Command.SELECT, 5000, 0, 0, '', `question ${n}`))
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, n) => `answer to question ${n}`))
  })

  it('may have an answer far beyond the ceiling of a frame, and others are answered meanwhile', async () => {
    const long = new Map(Array.from({ length: 40 }, (_, n) => [n, Buffer.alloc(400_000, `${n}`)]))
    const sizes: number[] = []
    const { near, far } = await linkPair({}, { onFrame: (frame, link) => link.answer(frame.id, long) })
    const send = vi.spyOn(far, 'send').mockImplementation(function (this: Link, ...args) {
      sizes.push((args[4] as Buffer).length)
      return Object.getPrototypeOf(far).send.apply(far, args)
    })
    const answer = (await near.ask(Command.GET_ALL_CLIENT_SESSIONS, 10_000)) as Map<number, Buffer>
    send.mockRestore()
    expect(Math.max(...sizes)).toBeLessThanOrEqual(512 * 1024)
    expect(sizes.length).toBeGreaterThan(30)
    expect([...answer.keys()]).toEqual([...long.keys()])
    for (const [key, bytes] of long) expect(bytes.equals(answer.get(key)!)).toBe(true)
  })

  it('of exactly one piece has no empty piece behind it', async () => {
    const { link, far } = await linkToSocket()
    const whole = readToEnd(far)
    const bytes = Buffer.alloc(512 * 1024 - 5, 'x') // bin 32 adds five bytes
    link.answer(9, bytes)
    link.close()
    expect((await whole).equals(buildFrame({ cmd: 102, local_ip: 9, body: msgpack.encode(bytes) }))).toBe(true)
  })

  it('is answered with an error', async () => {
    const error = new GatewayWorkerError('BAD_PARAMETERS', 'no sense')
    const { near } = await linkPair({}, { onFrame: (frame, link) => link.answerError(frame.id, error) })
    await expect(near.ask(Command.SELECT, 5000)).rejects.toMatchObject({ code: 'BAD_PARAMETERS', message: 'no sense' })
  })

  it('rejects at its deadline, and the link lives on', async () => {
    const { near } = await linkPair(
      {},
      { onFrame: (frame, link) => frame.command === Command.SELECT && link.answer(frame.id, 1) },
    )
    await expect(near.ask(Command.IS_ONLINE, 20)).rejects.toMatchObject({ code: 'QUESTION_TIMED_OUT' })
    expect(await near.ask(Command.SELECT, 5000)).toBe(1)
  })

  it('rejects when the peer goes, and later ones at once', async () => {
    const { near } = await linkPair({}, { onFrame: (_frame, link) => link.destroy() })
    await expect(near.ask(Command.SELECT, 60_000)).rejects.toMatchObject({ code: 'LINK_CLOSED' })
    await expect(near.ask(Command.SELECT, 60_000)).rejects.toMatchObject({ code: 'LINK_CLOSED' })
  })
})

describe('the end of a link', () => {
  it('by close comes after everything that was sent', async () => {
    const onClose = vi.fn()
    const { link, near, far } = await linkToSocket({ onClose })
    const body = Buffer.alloc(6_000_000, 'z')
    link.send(Command.SEND_TO_ONE, 1, 0, '', body)
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'last')
    link.close()
    expect(link.isClosed).toBe(true)
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'too late')
    link.close()
    const whole = await readToEnd(far)
    const sent = [body, 'last'].map((said) => buildFrame({ cmd: 5, connection_id: 1, body: said }))
    expect(whole.equals(Buffer.concat(sent))).toBe(true)
    if (!near.closed) await once(near, 'close')
    expect(onClose.mock.calls).toEqual([[link, undefined]])
  })

  it('by close comes also when the peer does not end its side', async () => {
    const { link, near, far } = await linkToSocket()
    far.allowHalfOpen = true
    far.resume()
    link.close()
    await once(near, 'close')
    expect(far.readableEnded).toBe(true)
  })

  it('by close says how much is lost when the peer does not take it in time', async () => {
    const log = keptLog()
    const gone = signal<GatewayWorkerError | undefined>()
    const { link, near } = await linkToSocket({ onClose: (_link, error) => gone.resolve(error) }, { log })
    for (let n = 0; n < 200; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    await link.close(100)
    const words = /^the peer did not take the last \d+ bytes within 100 ms: they are lost$/
    expect(log.lines).toMatchObject([{ level: 'warn', message: expect.stringMatching(words) }])
    expect(log.lines[0]!.details.lostBytes).toBeGreaterThan(0)
    await closed(near)
    expect(await gone.promise).toMatchObject({ code: 'LINK_CLOSED', message: expect.stringMatching(words) })
  })

  it('by the peer comes after what it has yet to be told, and nothing more is', async () => {
    const { link, near, far } = await linkToSocket()
    near.allowHalfOpen = true
    far.allowHalfOpen = true
    for (let n = 0; n < 200; n += 1) link.send(Command.SEND_TO_ONE, 1, 0, '', FILL)
    await endOfTurn()
    far.end()
    await vi.waitUntil(() => link.isClosed)
    link.send(Command.SEND_TO_ONE, 1, 0, '', 'too late')
    expect(await readToEnd(far)).toHaveLength(200 * (FILL.length + 28))
  })

  it('by destroy is told once, with its reason', async () => {
    const onClose = vi.fn()
    const { link, near } = await linkToSocket({ onClose })
    const reason = new GatewayWorkerError('LINK_TIMED_OUT', 'silent')
    const question = link.ask(Command.SELECT, 60_000)
    link.send(Command.PING)
    link.destroy(reason)
    link.destroy(new GatewayWorkerError('BAD_HELLO', 'another'))
    await expect(question).rejects.toBe(reason)
    if (!near.closed) await once(near, 'close')
    expect(onClose.mock.calls).toEqual([[link, reason]])
    expect(link.closedError).toBe(reason)
    expect(near.bytesWritten).toBe(0)
  })

  it('by a reset is LINK_CLOSED with the cause', async () => {
    const closed = signal<GatewayWorkerError | undefined>()
    const { far } = await linkToSocket({ onClose: (_link, error) => closed.resolve(error) })
    far.resetAndDestroy()
    expect(await closed.promise).toMatchObject({ code: 'LINK_CLOSED', cause: { code: 'ECONNRESET' } })
  })

  it('by refusal tells the peer why, and hears nothing more', async () => {
    const seen: string[] = []
    const closed = signal<GatewayWorkerError | undefined>()
    const { far } = await linkToSocket({
      onFrame: (frame, link) => {
        seen.push(frame.bodyText)
        link.refuse(new GatewayWorkerError('WRONG_SECRET', 'no'))
      },
      onClose: (_link, error) => closed.resolve(error),
    })
    far.write(Buffer.concat([buildFrame({ cmd: 200, body: 'one' }), buildFrame({ cmd: 200, body: 'two' })]))
    const said = new Frame(await readToEnd(far), 0)
    expect(said.command).toBe(Command.REFUSED)
    expect(msgpack.decode(said.body)).toEqual({ code: 'WRONG_SECRET', message: 'no' })
    expect(await closed.promise).toMatchObject({ code: 'WRONG_SECRET' })
    expect(seen).toEqual(['one'])
  })
})
