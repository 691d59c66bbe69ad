import { expect, test } from 'vitest'
import { readHandshakeRequest } from '../src/handshake-request.ts'

const bytes = (text: string) => Buffer.from(text).toString('latin1')

test('what a gateway tells as bytes is text, as far as it is UTF-8', () => {
  const { headers, server } = readHandshakeRequest({
    server: {
      HTTP_X_NAME: bytes('张三'),
      HTTP_X_CITY: 'Zürich', // as a PHP gateway has told it, and no UTF-8
      HTTP_X_LATIN1: '\xff\xfe',
      HTTP_X_TOLD: '张',
      HTTP_USER_AGENT: 'a page',
      REMOTE_PORT: 5,
      REQUEST_URI: bytes('/张'),
    },
  })
  expect(headers).toEqual({
    'user-agent': 'a page',
    'x-city': 'Zürich',
    'x-latin1': '\xff\xfe',
    'x-name': '张三',
    'x-told': '张',
  })
  expect(server).toMatchObject({ HTTP_X_NAME: '张三', REMOTE_PORT: 5, REQUEST_URI: '/张' })
})

test('names that objects have anyway are names', () => {
  const get = JSON.parse('{"__proto__":"1","constructor":"2"}')
  const { cookie, get: told, headers } = readHandshakeRequest({ get, server: { HTTP___PROTO__: 'x' } })
  expect(Object.entries(told)).toEqual([
    ['__proto__', '1'],
    ['constructor', '2'],
  ])
  expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
  expect(cookie).toEqual({})
})

test('of no handshake nothing is there', () => {
  expect(readHandshakeRequest(null)).toEqual({ claims: undefined, cookie: {}, get: {}, headers: {}, server: {} })
})
