import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeLine, LineParser, type RegisterMessage } from '../src/lines.ts'

const STREAM = Buffer.from(
  '{"event":"gateway_connect","address":"127.0.0.1:2900","secret_key":"gehéim"}\n' +
    '{"event":"ping"}\n' +
    '{"event":"broadcast_addresses","addresses":[]}\r\n' +
    '{"event":"broadcast_addresses","addresses":["10.0.0.1:2900","10.0.0.2:2900"]}\n',
)

const MESSAGES = [
  { event: 'gateway_connect', address: '127.0.0.1:2900', secret_key: 'gehéim' },
  { event: 'ping' },
  { event: 'broadcast_addresses', addresses: [] },
  { event: 'broadcast_addresses', addresses: ['10.0.0.1:2900', '10.0.0.2:2900'] },
]

function parse(chunks: Iterable<Buffer>, maxLineBytes?: number): RegisterMessage[] {
  const parser = new LineParser(maxLineBytes)
  const messages: RegisterMessage[] = []
  for (const chunk of chunks) parser.push(chunk, (message) => messages.push(message))
  return messages
}

describe('lines', () => {
  it('come out the same whole, byte by byte, and cut at any point, also within a character', () => {
    expect(parse([STREAM])).toEqual(MESSAGES)
    expect(parse(Array.from(STREAM, (byte) => Buffer.from([byte])))).toEqual(MESSAGES)
    for (let at = 0; at <= STREAM.length; at += 1) {
      expect(parse([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(MESSAGES)
    }
  })

  it('are one JSON object each, as PHP reads them', () => {
    expect(encodeLine({ event: 'broadcast_addresses', addresses: [] })).toBe(
      '{"event":"broadcast_addresses","addresses":[]}\n',
    )
    expect(encodeLine({ event: 'x', text: 'two\nlines' }).match(/\n/g)).toHaveLength(1)
  })

  it('that were written are read as they were', () => {
    const messages = fc.array(fc.record({ event: fc.string(), address: fc.string({ unit: 'binary' }) }), {
      maxLength: 8,
    })
    fc.assert(
      fc.property(messages, fc.nat(), (list, at) => {
        const stream = Buffer.from(list.map(encodeLine).join(''))
        const point = stream.length === 0 ? 0 : at % stream.length
        const wellFormed = list.map((message) => JSON.parse(Buffer.from(JSON.stringify(message)).toString()))
        expect(parse([stream.subarray(0, point), stream.subarray(point)])).toEqual(wellFormed)
      }),
    )
  })

  it.each([
    ['not JSON', 'hello\n'],
    ['empty', '\n'],
    ['cut off', '{"event":"ping"\n'],
    ['a text', '"ping"\n'],
    ['null', 'null\n'],
    ['a list', '["ping"]\n'],
    ['an object without an event', '{"address":"127.0.0.1:1"}\n'],
    ['an object whose event is no text', '{"event":1}\n'],
  ])('that are %s are an error, after those before them', (_name, line) => {
    const parser = new LineParser()
    const messages: RegisterMessage[] = []
    expect(() => parser.push(Buffer.from(`{"event":"ping"}\n${line}`), (message) => messages.push(message))).toThrow(
      /a line is/,
    )
    expect(messages).toEqual([{ event: 'ping' }])
  })

  it('are taken up to the limit, and not one byte further, whether their end has come or not', () => {
    const line = Buffer.from('{"event":"ping"}\n')
    expect(parse([line, line], 16)).toHaveLength(2)
    expect(() => parse([line], 15)).toThrow('longer than 15 bytes')
    expect(() => parse([Buffer.alloc(10, '{'), Buffer.alloc(6, '{')], 15)).toThrow('longer than 15 bytes')
    expect(() =>
      parse(
        Array.from({ length: 16 }, () => Buffer.from('{')),
        15,
      ),
    ).toThrow('longer than 15 bytes')
    expect(parse([Buffer.alloc(15, '{')], 15)).toEqual([])
    expect(new LineParser().maxLineBytes).toBe(10 * 1024 * 1024)
  })
})
