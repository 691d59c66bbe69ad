import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { readTokenSource, type TokenSource, takeToken } from '../../src/access/token-source.ts'

type Request = Pick<IncomingMessage, 'headers' | 'url'>

const take = (request: Request, ...sources: TokenSource[]) => takeToken(request as IncomingMessage, sources)

test.each<[string, TokenSource, Request, string | undefined, Request]>([
  ['a bearer', 'authorization', { headers: { authorization: 'Bearer T' } }, 'T', { headers: {} }],
  [
    'another authorization',
    'authorization',
    { headers: { authorization: 'Basic T' } },
    undefined,
    { headers: { authorization: 'Basic T' } },
  ],
  [
    'a protocol',
    'protocol',
    { headers: { 'sec-websocket-protocol': 'bearer, T' } },
    'T',
    { headers: { 'sec-websocket-protocol': 'bearer' } },
  ],
  [
    'a protocol among others',
    'protocol',
    { headers: { 'sec-websocket-protocol': 'chat,bearer,T,more' } },
    'T',
    { headers: { 'sec-websocket-protocol': 'chat, bearer, more' } },
  ],
  [
    'bearer alone',
    'protocol',
    { headers: { 'sec-websocket-protocol': 'bearer' } },
    undefined,
    { headers: { 'sec-websocket-protocol': 'bearer' } },
  ],
  ['a cookie', 'cookie:t', { headers: { cookie: 'a=1; t=T; b=2' } }, 'T', { headers: { cookie: 'a=1; b=2' } }],
  [
    'a cookie of a longer name',
    'cookie:t',
    { headers: { cookie: 'tt=T' } },
    undefined,
    { headers: { cookie: 'tt=T' } },
  ],
  ['a parameter', 'query:t', { headers: {}, url: '/chat?a=1&t=T&b=2' }, 'T', { headers: {}, url: '/chat?a=1&b=2' }],
  ['the only parameter', 'query:t', { headers: {}, url: '/chat?t=T' }, 'T', { headers: {}, url: '/chat' }],
  ['a parameter twice', 'query:t', { headers: {}, url: '/?t=T&t=U' }, 'T', { headers: {}, url: '/' }],
  ['no parameter', 'query:t', { headers: {}, url: '/t=T' }, undefined, { headers: {}, url: '/t=T' }],
  ['an empty parameter', 'query:t', { headers: {}, url: '/?t=' }, undefined, { headers: {}, url: '/' }],
  ['a parameter without value', 'query:t', { headers: {}, url: '/?t' }, undefined, { headers: {}, url: '/' }],
])('%s', (_what, source, request, token, left) => {
  expect(take(request, source)).toBe(token)
  expect(request).toEqual(left)
})

test('of several the first source counts, and none is left', () => {
  const request = { headers: { authorization: 'Bearer A' }, url: '/?t=Q' }
  expect(take(request, 'query:t', 'authorization')).toBe('Q')
  expect(request).toEqual({ headers: {}, url: '/' })
})

test.each(['query', 'query:', 'cookie:a b', 'header:x', ''])('"%s" is no source', (text) => {
  expect(() => readTokenSource(text)).toThrow(`"${text}"`)
})
