import { expect, test } from 'vitest'
import { OriginList } from '../../src/access/origins.ts'

const list = new OriginList([
  'https://Example.com',
  'https://*.example.com',
  'http://localhost:*',
  'http://[::1]:8080',
  'https://shop.example:443',
  'https://*.dev.example:8443',
])

test.each([
  ['https://example.com', true],
  ['https://EXAMPLE.com', true],
  ['https://example.com:8443', false],
  ['http://example.com', false],
  ['https://a.example.com', true],
  ['https://a.b.example.com', true],
  ['https://evilexample.com', false],
  ['https://example.com.evil', false],
  ['https://a.exampleXcom', false],
  ['https://evil/.example.com', false],
  ['https://.example.com', false],
  ['http://localhost:5173', true],
  ['http://localhost', true],
  ['http://localhost:5173.evil', false],
  ['http://[::1]:8080', true],
  ['https://shop.example', true],
  ['https://a.dev.example:8443', true],
  ['https://a.dev.example', false],
  ['https://evil.net#.example.com', false],
  ['https://evil.net?.example.com', false],
  ['https://evil.net\\.example.com', false],
  ['https://a@b.example.com', false],
  ['https://a b.example.com', false],
  ['https://xn--zrich-kva.example.com', true],
  ['https://a_b.example.com', true],
  ['https://example.com:443', true],
  ['http://localhost:80', true],
  ['null', false],
  ['', false],
])('%s: %s', (origin, isAllowed) => {
  expect(list.allows(origin)).toBe(isAllowed)
})

test('who is no browser says no origin, and may', () => {
  expect(list.allows(undefined)).toBe(true)
})

test('an empty list allows every page, one with null a page without an origin', () => {
  expect(new OriginList([]).allows('https://anywhere.example')).toBe(true)
  expect(new OriginList(['null']).allows('null')).toBe(true)
  expect(new OriginList(['null']).allows('https://anywhere.example')).toBe(false)
})

test.each(['example.com', 'https://', 'https://example.com/', 'https://*', 'https://a.*.com', '*', ''])(
  '"%s" is refused as no origin',
  (origin) => {
    expect(() => new OriginList([origin])).toThrow(`"${origin}"`)
  },
)
