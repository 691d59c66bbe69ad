import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { GatewayWorkerError } from '../src/errors.ts'
import { encodeFrame, type Frame } from '../src/frame.ts'
import { FrameParser } from '../src/parser.ts'
import { buildAnswer, buildFrame, type WireFields } from './build-frame.ts'

const MIB = 1024 * 1024

/** What a frame says, copied out of its chunk. */
function contents(frame: Frame) {
  const { command, connectionId, flag, id } = frame
  return { command, connectionId, flag, id, ext: frame.ext.toString('hex'), body: frame.body.toString('hex') }
}

function parse(chunks: Iterable<Buffer>, maxFrameBytes?: number) {
  const parser = new FrameParser(maxFrameBytes)
  const frames: ReturnType<typeof contents>[] = []
  for (const chunk of chunks) parser.push(chunk, (frame) => frames.push(contents(frame)))
  return frames
}

function cut(stream: Buffer, points: readonly number[]): Buffer[] {
  const ends = [...points.map((point) => point % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  return ends.map((end, at) => stream.subarray(at === 0 ? 0 : ends[at - 1], end))
}

function codeOf(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof GatewayWorkerError) return error.code
    throw error
  }
}

/** The sizes of all buffers that are made from here on for bytes that have to wait. */
function watchAllocations(): number[] {
  const sizes: number[] = []
  const { allocUnsafe } = Buffer
  vi.spyOn(Buffer, 'allocUnsafe').mockImplementation((size) => {
    sizes.push(size)
    return allocUnsafe(size)
  })
  return sizes
}

afterEach(() => {
  vi.restoreAllMocks()
})

const STREAM = Buffer.concat([
  buildFrame({ cmd: 201 }),
  buildFrame({ cmd: 5, connection_id: 7, flag: 1, body: 'hi' }),
  buildFrame({
    cmd: 22,
    local_ip: 9,
    ext: '{"group":["a"],"exclude":null}',
    body: 'a longer body, to cut in many places',
  }),
  buildFrame({ cmd: 12, connection_id: 0xffffffff, ext: 'uid' }),
])

const FRAMES = [
  { command: 201, connectionId: 0, flag: 0, id: 0, ext: '', body: '' },
  { command: 5, connectionId: 7, flag: 1, id: 0, ext: '', body: Buffer.from('hi').toString('hex') },
  {
    command: 22,
    connectionId: 0,
    flag: 0,
    id: 9,
    ext: Buffer.from('{"group":["a"],"exclude":null}').toString('hex'),
    body: Buffer.from('a longer body, to cut in many places').toString('hex'),
  },
  { command: 12, connectionId: 0xffffffff, flag: 0, id: 0, ext: Buffer.from('uid').toString('hex'), body: '' },
]

describe('a stream of frames', () => {
  it('comes out the same whole, and byte by byte', () => {
    expect(parse([STREAM])).toEqual(FRAMES)
    expect(parse(Array.from(STREAM, (byte) => Buffer.from([byte])))).toEqual(FRAMES)
  })

  it('comes out the same cut at any one point, and at any two', () => {
    for (let first = 0; first <= STREAM.length; first += 1) {
      for (let second = first; second <= STREAM.length; second += 1) {
        const frames = parse([STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)])
        if (JSON.stringify(frames) !== JSON.stringify(FRAMES)) expect([first, second, frames]).toEqual(FRAMES)
      }
    }
  })

  it('is handed out frame by frame as it becomes complete, not later', () => {
    const parser = new FrameParser()
    const seen: number[] = []
    const onFrame = (frame: Frame) => seen.push(frame.command)
    parser.push(STREAM.subarray(0, 27), onFrame)
    expect(seen).toEqual([])
    parser.push(STREAM.subarray(27, 28 + 29), onFrame)
    expect(seen).toEqual([201])
    parser.push(STREAM.subarray(28 + 29, 28 + 30), onFrame)
    expect(seen).toEqual([201, 5])
  })

  it('is not copied where a frame is whole in its chunk', () => {
    const allocations = watchAllocations()
    const chunk = Buffer.from(STREAM)
    const bodies: Buffer[] = []
    new FrameParser().push(chunk, (frame) => bodies.push(frame.body))
    expect(allocations).toEqual([])
    chunk.fill(0x58, 28 + 28, 28 + 30)
    expect(bodies[1]!.toString()).toBe('XX')
  })

  it('keeps a frame that came in pieces apart from what comes after it', () => {
    const parser = new FrameParser()
    const bodies: Buffer[] = []
    for (const body of ['first', 'later']) {
      const [head, tail] = cut(buildFrame({ cmd: 5, body }), [30])
      parser.push(head!, (frame) => bodies.push(frame.body))
      parser.push(tail!, (frame) => bodies.push(frame.body))
    }
    expect(bodies.map(String)).toEqual(['first', 'later'])
  })

  const frameFields: fc.Arbitrary<
    Required<Omit<WireFields, 'local_port' | 'client_ip' | 'client_port' | 'gateway_port'>>
  > = fc.record({
    cmd: fc.integer({ min: 0, max: 255 }),
    local_ip: fc.integer({ min: 0, max: 0xffffffff }),
    connection_id: fc.integer({ min: 0, max: 0xffffffff }),
    flag: fc.integer({ min: 0, max: 255 }),
    ext: fc.uint8Array({ maxLength: 200 }),
    body: fc.uint8Array({ maxLength: 200 }),
  })

  it('comes out the same whatever the frames are and wherever it is cut; ours are the bytes of wire.md', () => {
    const frameLists = fc.array(frameFields, { maxLength: 20 })
    const points = fc.array(fc.nat(), { maxLength: 40 })
    fc.assert(
      fc.property(frameLists, points, (list, at) => {
        const stream = Buffer.concat(list.map(buildFrame))
        const ours = list.map(({ cmd, connection_id, local_ip, flag, ext, body }) =>
          encodeFrame({ command: cmd, connectionId: connection_id, id: local_ip, flag, ext, body }),
        )
        expect(Buffer.concat(ours).equals(stream)).toBe(true)
        expect(parse(cut(stream, at))).toEqual(
          list.map(({ cmd, connection_id, local_ip, flag, ext, body }) => ({
            command: cmd,
            connectionId: connection_id,
            flag,
            id: local_ip,
            ext: Buffer.from(ext).toString('hex'),
            body: Buffer.from(body).toString('hex'),
          })),
        )
      }),
      { numRuns: 300 },
    )
  })
})

describe('a parser that is stopped', () => {
  it('delivers nothing behind that frame until it resumes, wherever the stream is cut', () => {
    const body = fc.uint8Array({ maxLength: 100 })
    const frames = fc.array(fc.record({ body, stops: fc.boolean() }), { maxLength: 20 })
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 10 }), (list, at) => {
        const parser = new FrameParser()
        const seen: string[] = []
        let isStopped = false
        const onFrame = (frame: Frame) => {
          expect(isStopped).toBe(false)
          isStopped = list[seen.length]!.stops
          seen.push(frame.body.toString('hex'))
          if (isStopped) parser.stop()
        }
        for (const chunk of cut(Buffer.concat(list.map(({ body }) => buildFrame({ cmd: 5, body }))), at)) {
          parser.push(chunk, onFrame)
        }
        while (isStopped) {
          isStopped = false
          parser.resume()
          parser.push(Buffer.alloc(0), onFrame)
        }
        expect(seen).toEqual(list.map(({ body }) => Buffer.from(body).toString('hex')))
      }),
      { numRuns: 300 },
    )
  })

  it('finds a frame that cannot be one only when it resumes', () => {
    const parser = new FrameParser()
    const push = (bytes: Buffer) => parser.push(bytes, () => parser.stop())
    push(Buffer.concat([buildFrame({ cmd: 5 }), Buffer.alloc(4)]))
    parser.resume()
    expect(codeOf(() => push(Buffer.alloc(0)))).toBe('FRAME_TOO_SHORT')
  })
})

describe('a declared length', () => {
  const declaring = (length: number, extLength = 0) => {
    const header = buildFrame({ cmd: 5 })
    header.writeUInt32BE(length, 0)
    header.writeUInt32BE(extLength, 24)
    return header
  }

  it.each([0, 1, 4, 27])('of %i is too short', (length) => {
    expect(codeOf(() => parse([declaring(length)]))).toBe('FRAME_TOO_SHORT')
    expect(codeOf(() => parse([declaring(length).subarray(0, 4)]))).toBe('FRAME_TOO_SHORT')
  })

  it.each([1001, 0x7fffffff, 0xffffffff])('of %i is over a ceiling of 1000, and nothing is kept for it', (length) => {
    const header = declaring(length)
    const bytes = Array.from(header.subarray(0, 4), (byte) => Buffer.from([byte]))
    const allocations = watchAllocations()
    expect(codeOf(() => parse([header], 1000))).toBe('FRAME_TOO_LONG')
    expect(allocations).toEqual([])
    expect(codeOf(() => parse(bytes, 1000))).toBe('FRAME_TOO_LONG')
    expect(Math.max(...allocations)).toBe(4)
  })

  it('is over the ceiling of 10 MiB unless another was given', () => {
    expect(codeOf(() => parse([declaring(10 * MIB + 1).subarray(0, 4)]))).toBe('FRAME_TOO_LONG')
    expect(codeOf(() => parse([declaring(10 * MIB).subarray(0, 4)]))).toBeUndefined()
    expect(parse([buildFrame({ cmd: 5, body: Buffer.alloc(972) })], 1000)).toHaveLength(1)
  })

  it('is checked against the ceiling of that moment', () => {
    const parser = new FrameParser(100)
    let frames = 0
    const stream = Buffer.concat([buildFrame({ cmd: 200 }), buildFrame({ cmd: 5, body: Buffer.alloc(500) })])
    parser.push(stream, () => {
      parser.maxFrameBytes = 1000
      frames += 1
    })
    expect(frames).toBe(2)
  })

  it.each([
    [28, 1],
    [40, 13],
    [28, 0xffffffff],
  ])('of %i with an ext of %i contradicts itself', (length, extLength) => {
    const frame = Buffer.concat([declaring(length, extLength), Buffer.alloc(length - 28)])
    expect(codeOf(() => parse([frame]))).toBe('FRAME_MALFORMED')
    for (let point = 1; point < frame.length; point += 1) {
      expect(codeOf(() => parse(cut(frame, [point])))).toBe('FRAME_MALFORMED')
    }
  })

  it('that has not arrived makes room for at most 1 MiB, or twice what has', () => {
    const header = declaring(10 * MIB)
    const allocations = watchAllocations()
    const parser = new FrameParser()
    parser.push(header, () => {})
    expect(Math.max(...allocations)).toBe(MIB)
    parser.push(Buffer.alloc(2 * MIB), () => {})
    expect(Math.max(...allocations)).toBeLessThanOrEqual(4 * MIB + 2 * 28)
  })

  it('of 10 MiB that arrives byte by byte is copied a few times, not once a byte', () => {
    const frame = buildFrame({ cmd: 5, body: Buffer.alloc(10 * MIB - 28, 0x61) })
    const allocations = watchAllocations()
    const parser = new FrameParser()
    let bodyBytes = 0
    for (let at = 0; at < frame.length; at += 1) {
      parser.push(frame.subarray(at, at + 1), (whole) => {
        bodyBytes = whole.body.equals(frame.subarray(28)) ? whole.bodyLength : -1
      })
    }
    expect(bodyBytes).toBe(10 * MIB - 28)
    expect(allocations.reduce((sum, size) => sum + size, 0)).toBeLessThan(3 * frame.length)
  })
})

describe('garbage', () => {
  const LIMIT = 4096
  const CODES = [undefined, 'FRAME_TOO_SHORT', 'FRAME_TOO_LONG', 'FRAME_MALFORMED']

  /** Either bytes from anywhere, or real frames with some bytes changed. */
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.uint8Array({ maxLength: 60 }),
      )
      .map(([changes, body]) => {
        const stream = Buffer.concat([buildFrame({ cmd: 5, ext: 'ext', body }), STREAM])
        for (const [at, byte] of changes) stream[at % stream.length] = byte
        return stream
      }),
  )

  it('ends in a coded error or waits for more, holding no more than one frame', () => {
    const allocations = watchAllocations()
    const seen = new Set<string | undefined>()
    fc.assert(
      fc.property(garbage, fc.array(fc.nat(), { maxLength: 10 }), (bytes, at) => {
        allocations.length = 0
        const code = codeOf(() => parse(cut(Buffer.from(bytes), at), LIMIT))
        expect(CODES).toContain(code)
        expect(Math.max(0, ...allocations)).toBeLessThanOrEqual(LIMIT)
        seen.add(code)
      }),
      { numRuns: 2000 },
    )
    expect(seen.size).toBe(CODES.length)
  })
})

describe('answers of a legacy gateway', () => {
  /** Frames and answers in the order in which they came: a frame is its bytes in hex, an answer its text. */
  function parseMixed(chunks: Iterable<Buffer>, maxFrameBytes?: number): string[] {
    const parser = new FrameParser(maxFrameBytes)
    parser.takesBareAnswers = true
    const seen: string[] = []
    for (const chunk of chunks) {
      parser.push(
        chunk,
        ({ body, command, ext }) => seen.push(`frame ${command} ${ext.toString('hex')} ${body.toString('hex')}`),
        (value) => seen.push(value.toString('latin1')),
      )
    }
    return seen
  }

  const MIXED = Buffer.concat([
    buildAnswer('N;'),
    buildFrame({ cmd: 3, ext: 'a:0:{}', body: 'i:1;' }),
    buildAnswer('i:1;'),
    buildAnswer('a:1:{i:0;s:1:"\xff";}'),
    buildFrame({ cmd: 201 }),
    buildAnswer('b:0;'),
    buildAnswer('O:1:"A":0:{}'),
    buildAnswer('s:2:"hi";'),
  ])
  const SEEN = [
    'N;',
    `frame 3 ${Buffer.from('a:0:{}').toString('hex')} ${Buffer.from('i:1;').toString('hex')}`,
    'i:1;',
    'a:1:{i:0;s:1:"\xff";}',
    'frame 201  ',
    'b:0;',
    'O:1:"A":0:{}',
    's:2:"hi";',
  ]

  it('come out between frames, cut at any one point, at any two, and byte by byte', () => {
    expect(parseMixed([MIXED])).toEqual(SEEN)
    expect(parseMixed(Array.from(MIXED, (byte) => Buffer.from([byte])))).toEqual(SEEN)
    for (let first = 0; first <= MIXED.length; first += 1) {
      for (let second = first; second <= MIXED.length; second += 1) {
        const seen = parseMixed([MIXED.subarray(0, first), MIXED.subarray(first, second), MIXED.subarray(second)])
        if (seen.join() !== SEEN.join()) expect([first, second, seen]).toEqual(SEEN)
      }
    }
  })

  it('are not told from frames where nobody expects them', () => {
    expect(codeOf(() => parse([buildAnswer('i:1;')]))).toBe('FRAME_TOO_SHORT')
  })

  it('may be expected until the first frame has shown who speaks', () => {
    const parser = new FrameParser()
    parser.takesBareAnswers = true
    const commands: number[] = []
    const onFrame = (frame: Frame) => {
      commands.push(frame.command)
      parser.takesBareAnswers = false
    }
    const stream = Buffer.concat([buildFrame({ cmd: 100 }), buildFrame({ cmd: 105 })])
    for (const byte of stream) parser.push(Buffer.from([byte]), onFrame)
    expect(commands).toEqual([100, 105])
  })

  it.each([
    [0, 'FRAME_MALFORMED'],
    [1, 'FRAME_MALFORMED'],
    [256 * MIB, undefined],
    [256 * MIB + 1, 'FRAME_MALFORMED'],
    [0xffffffff, 'FRAME_MALFORMED'],
  ])('that declare %i bytes: %s', (length, code) => {
    const head = buildAnswer('i')
    head.writeUInt32BE(length)
    const allocations = watchAllocations()
    expect(codeOf(() => parseMixed([head]))).toBe(code)
    expect(Math.max(0, ...allocations)).toBeLessThanOrEqual(MIB)
    expect(codeOf(() => parseMixed(Array.from(head, (byte) => Buffer.from([byte]))))).toBe(code)
  })

  it('may be longer than a frame', () => {
    const long = `s:5000:"${'x'.repeat(5000)}";`
    expect(parseMixed(cut(buildAnswer(long), [3, 1000]), 100)).toEqual([long])
  })

  it('and frames, whatever they are and wherever they are cut', () => {
    const piece = fc.oneof(
      fc
        .tuple(fc.constantFrom('N', 'b', 'i', 's', 'a', 'O'), fc.uint8Array({ minLength: 1, maxLength: 40 }))
        .map(([type, rest]) => {
          const text = type + Buffer.from(rest).toString('latin1')
          return { bytes: buildAnswer(text), seen: text }
        }),
      fc
        .record({
          cmd: fc.constantFrom(1, 3, 4, 100, 101, 102, 103, 104, 201, 205),
          ext: fc.uint8Array({ maxLength: 20 }),
          body: fc.uint8Array({ maxLength: 20 }),
        })
        .map((fields) => ({
          bytes: buildFrame(fields),
          seen: `frame ${fields.cmd} ${Buffer.from(fields.ext).toString('hex')} ${Buffer.from(fields.body).toString('hex')}`,
        })),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), fc.array(fc.nat(), { maxLength: 20 }), (list, at) => {
        expect(parseMixed(cut(Buffer.concat(list.map(({ bytes }) => bytes)), at))).toEqual(list.map(({ seen }) => seen))
      }),
      { numRuns: 300 },
    )
  })

  it('that are garbage end in a coded error or wait for more, and make no room before it is filled', () => {
    const allocations = watchAllocations()
    const damaged = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 6 }),
      )
      .map(([changes, at]) => {
        const stream = Buffer.from(MIXED)
        for (const [where, byte] of changes) stream[where % stream.length] = byte
        return cut(stream, at)
      })
    fc.assert(
      fc.property(damaged, (chunks) => {
        allocations.length = 0
        expect([undefined, 'FRAME_TOO_SHORT', 'FRAME_TOO_LONG', 'FRAME_MALFORMED']).toContain(
          codeOf(() => parseMixed(chunks, 4096)),
        )
        expect(Math.max(0, ...allocations)).toBeLessThanOrEqual(MIB)
      }),
      { numRuns: 1000 },
    )
  })
})
