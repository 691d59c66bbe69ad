import { describe, expect, it } from 'vitest'
import { Command, Flag } from '../src/commands.ts'
import { encodeFrame, Frame, payloadBytes } from '../src/frame.ts'
import { buildFrame } from './build-frame.ts'

/** Written by hand from wire.md section 2: length cmd local_ip local_port client_ip client_port connection flag gateway_port ext_len … */
const GOLDEN = {
  sendToOne: '0000001e 05 00000000 0000 00000000 0000 00000007 01 0000 00000000 6869',
  ping: '0000001c c9 00000000 0000 00000000 0000 00000000 00 0000 00000000',
  bindUidAsked: '00000020 0c ffffffff 0000 00000000 0000 fffffffe 00 0000 00000004 75736572',
  phpOnMessage: '00000024 03 7f000001 0b54 c0a80102 d431 00000001 01 1c68 00000003 613a30 68c3a46c6f',
}

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('encodeFrame', () => {
  it.each([
    [GOLDEN.sendToOne, { command: Command.SEND_TO_ONE, connectionId: 7, flag: Flag.SCALAR, body: 'hi' }],
    [GOLDEN.ping, { command: Command.PING }],
    [GOLDEN.bindUidAsked, { command: Command.BIND_UID, connectionId: 0xfffffffe, id: 0xffffffff, ext: 'user' }],
  ])('writes %s', (hex, parts) => {
    expect(encodeFrame(parts).toString('hex')).toBe(bytesOf(hex).toString('hex'))
  })

  it('takes text and bytes alike, and counts bytes, not characters', () => {
    const text = encodeFrame({ command: 5, ext: 'grüße', body: '你好' })
    const bytes = encodeFrame({ command: 5, ext: Buffer.from('grüße'), body: new Uint8Array(Buffer.from('你好')) })
    expect(text).toEqual(buildFrame({ cmd: 5, ext: 'grüße', body: '你好' }))
    expect(bytes).toEqual(text)
    expect(payloadBytes('grüße')).toBe(7)
    expect(payloadBytes(new Uint8Array(3))).toBe(3)
  })
})

describe('Frame', () => {
  it('reads every field of a frame as PHP writes it', () => {
    const frame = new Frame(bytesOf(GOLDEN.phpOnMessage), 0)
    expect(frame.length).toBe(36)
    expect(frame.command).toBe(Command.ON_MESSAGE)
    expect(frame.id).toBe(0x7f000001)
    expect(frame.connectionId).toBe(1)
    expect(frame.flag).toBe(Flag.SCALAR)
    expect(frame.extLength).toBe(3)
    expect(frame.extText).toBe('a:0')
    expect(frame.bodyLength).toBe(5)
    expect(frame.bodyText).toBe('hälo')
  })

  it('reads a frame anywhere in a chunk, and hands out views of it', () => {
    const chunk = Buffer.concat([bytesOf(GOLDEN.ping), bytesOf(GOLDEN.bindUidAsked), bytesOf(GOLDEN.sendToOne)])
    const frame = new Frame(chunk, 28)
    expect(frame.id).toBe(0xffffffff)
    expect(frame.connectionId).toBe(0xfffffffe)
    expect(frame.ext.toString()).toBe('user')
    expect(frame.body).toHaveLength(0)
    expect(frame.bodyText).toBe('')
    chunk.write('USER', 56)
    expect(frame.ext.toString()).toBe('USER')
    expect(new Frame(chunk, 60).body.toString()).toBe('hi')
  })
})
