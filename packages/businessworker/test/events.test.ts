import { describe, expect, test } from 'vitest'
import { findEvents, findMistakes, findStrangers } from '../src/events.ts'

const onMessage = () => {}

describe('handlers are found', () => {
  test.each([
    ['as named exports', { onMessage }],
    ['in the default object', { default: { onMessage } }],
    [
      'as static methods of the default class',
      {
        // biome-ignore lint/complexity/noStaticOnlyClass: users write such classes, as in PHP
        default: class {
          static onMessage = onMessage
        },
      },
    ],
    ['in a CommonJS module', { default: { default: { onMessage } } }],
    ['beside a default export of another kind', { default: 5, onMessage }],
    ['beside other exports', { helper: 1, onMessage }],
  ])('%s', (_how, module) => {
    expect(findEvents(module).onMessage).toBe(onMessage)
  })

  test('in a static method that another class has given', () => {
    // biome-ignore lint/complexity/noStaticOnlyClass: users write such classes, as in PHP
    class Base {
      static onMessage = onMessage
    }
    class Events extends Base {}
    expect(findEvents({ default: Events }).onMessage).toBe(onMessage)
  })
})

test.each([
  {},
  { default: {} },
  { default: null },
  { default: () => {} },
  { onmessage: onMessage },
  { onMessage: 'text' },
])('a module without any is an error: %j', (module) => {
  expect(() => findEvents(module)).toThrow(/none of onWorkerStart, onConnect/)
})

test('a handler of an unknown name is a stranger, other exports are not', () => {
  // biome-ignore lint/complexity/noStaticOnlyClass: users write such classes, as in PHP
  class Events {
    static onMesage() {}
    static onMessage() {}
  }
  expect(findStrangers(Events)).toEqual([{ meant: undefined, name: 'onMesage' }])
  expect(findStrangers({ onMessage, onlyThis: () => {}, onCount: 5, onOpen: () => {} } as object)).toEqual([
    { meant: undefined, name: 'onOpen' },
  ])
})

test.each([
  ['onmessage', 'onMessage'],
  ['OnConnect', 'onConnect'],
  ['on_close', 'onClose'],
  ['onWorkerStrat', 'onWorkerStart'],
  ['onWebsocketConnect', 'onWebSocketConnect'],
])('%s was probably meant to be %s', (name, meant) => {
  const module = { close: () => {}, [name]: () => {}, processTimeoutHandler: () => {} }
  expect(findMistakes({ default: module })).toEqual({ handlers: [], strangers: [{ meant, name }] })
})

test('a misspelt name of a handler that there is, is another function', () => {
  expect(findMistakes({ onMessage, on_message: () => {} })).toEqual({ handlers: ['onMessage'], strangers: [] })
})
