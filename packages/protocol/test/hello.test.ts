import { describe, expect, it } from 'vitest'
import { Command } from '../src/commands.ts'
import { Frame } from '../src/frame.ts'
import { createInstanceId, decodeHello, encodeHello, type Hello, isSameSecret } from '../src/hello.ts'
import { buildFrame } from './build-frame.ts'

const frameOf = (cmd: number, body: unknown) =>
  new Frame(buildFrame({ cmd, flag: 1, body: typeof body === 'string' ? body : JSON.stringify(body) }), 0)

const native = { version: 4, instance: 'abc' }
const proved = { nonce: 'ab'.repeat(32), to: '10.0.0.5:2900' }

describe('a hello', () => {
  it("is PHP's first message with one field more", () => {
    const worker = encodeHello({ instance: 'abc', role: { kind: 'worker', workerKey: 'Chat:0' }, secretKey: 's' })
    expect(worker.command).toBe(200)
    expect(JSON.parse(worker.body)).toEqual({ worker_key: 'Chat:0', secret_key: 's', native })
    const client = encodeHello({ instance: 'abc', role: { kind: 'client' }, secretKey: 's' })
    expect(client.command).toBe(202)
    expect(JSON.parse(client.body)).toEqual({ secret_key: 's', native })
  })

  it.each<Hello>([
    { instance: 'abc', role: { kind: 'worker', workerKey: 'Chät:0' }, secretKey: 'gehéim' },
    { instance: 'abc', role: { kind: 'client' }, secretKey: '' },
  ])('is read as it was said: %j', (hello) => {
    const { command, body } = encodeHello(hello)
    expect(decodeHello(frameOf(command, body))).toEqual(hello)
  })

  it('that is to prove that it knows the secret has a nonce and names who is dialled, and does not say it unless PHP may listen', () => {
    const hello: Hello = { instance: 'abc', role: { kind: 'client' }, secretKey: 's' }
    expect(JSON.parse(encodeHello(hello, proved, false).body)).toEqual({
      secret_key: false,
      native: { ...native, ...proved },
    })
    expect(JSON.parse(encodeHello(hello, proved, true).body)).toEqual({
      secret_key: 's',
      native: { ...native, ...proved },
    })
    expect(decodeHello(frameOf(202, { secret_key: false, native: { ...native, ...proved } }))).toEqual({
      ...hello,
      proved,
      secretKey: '',
    })
  })

  it('of another version is WRONG_VERSION, which names both', () => {
    expect(() => decodeHello(frameOf(202, { native: { ...native, version: 2 } }))).toThrow(
      expect.objectContaining({ code: 'WRONG_VERSION', message: expect.stringMatching(/version 2 .* version 4/) }),
    )
  })

  it('may leave out what has a meaning when it is missing', () => {
    expect(decodeHello(frameOf(Command.WORKER_CONNECT, { native }))).toEqual({
      instance: 'abc',
      role: { kind: 'worker', workerKey: '' },
      secretKey: '',
    })
    expect(decodeHello(frameOf(Command.GATEWAY_CLIENT_CONNECT, { native, secret_key: 5 }))?.secretKey).toBe('')
  })

  it("is PHP's if it does not say who the process is", () => {
    expect(decodeHello(frameOf(200, { worker_key: 'Chat:0', secret_key: 's' }))).toEqual({
      instance: undefined,
      role: { kind: 'worker', workerKey: 'Chat:0' },
      secretKey: 's',
    })
    expect(decodeHello(frameOf(202, { secret_key: 's' }))).toMatchObject({
      instance: undefined,
      role: { kind: 'client' },
    })
  })

  it('is no other command', () => {
    expect(decodeHello(frameOf(Command.SEND_TO_ALL, { native }))).toBeUndefined()
  })

  it.each([
    ['no JSON', frameOf(200, '{')],
    ['nothing', frameOf(200, '')],
    ['a text', frameOf(200, '"hello"')],
    ['null', frameOf(200, 'null')],
    ['a list', frameOf(200, '[]')],
    ['native: null', frameOf(202, { native: null })],
    ['native: a text', frameOf(202, { native: 'yes' })],
    ['no version', frameOf(202, { native: { instance: 'abc' } })],
    ['no instance', frameOf(202, { native: { version: 4 } })],
  ])('is not %s', (_name, frame) => {
    expect(() => decodeHello(frame)).toThrow(expect.objectContaining({ code: 'BAD_HELLO' }))
  })
})

it('an instance id is new each time', () => {
  const ids = new Set(Array.from({ length: 100 }, createInstanceId))
  expect(ids.size).toBe(100)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/)
})

it('secrets are the same only if every character is', () => {
  expect(isSameSecret('sécret', 'sécret')).toBe(true)
  expect(isSameSecret('', '')).toBe(true)
  for (const wrong of ['', 'secre', 'secret ', 'Secret', 'secret\0']) expect(isSameSecret(wrong, 'secret')).toBe(false)
})
