import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Frame } from '../src/frame.ts'
import { Link, type LinkHandler, type LinkOptions } from '../src/link.ts'
import type { Log } from '../src/log.ts'
import { FrameParser } from '../src/parser.ts'

/** Both ends of a TCP connection over loopback, destroyed when the test is over. */
async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown]
  server.close()
  for (const socket of [near, far]) socket.on('error', () => {})
  onTestFinished(() => {
    near.destroy()
    far.destroy()
  })
  return [near, far]
}

/** A link and the bare socket at its other end. */
export async function linkToSocket(handler: Partial<LinkHandler> = {}, options?: LinkOptions) {
  const [near, far] = await socketPair()
  const link = new Link(near, 'the peer', { onFrame: () => {}, ...handler }, options)
  link.startKeepAlive()
  return { link, near, far }
}

/** Two links that are each other's ends. */
export async function linkPair(onNear: Partial<LinkHandler> = {}, onFar: Partial<LinkHandler> = {}) {
  const [near, far] = await socketPair()
  return {
    near: new Link(near, 'far', { onFrame: () => {}, ...onNear }),
    far: new Link(far, 'near', { onFrame: () => {}, ...onFar }),
  }
}

/** Calls `onFrame` for each frame that a bare socket receives, until that returns true; resolves then. */
export function readFrames(socket: Socket, onFrame: (frame: Frame) => boolean): Promise<void> {
  const parser = new FrameParser()
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk) => {
      try {
        parser.push(chunk, (frame) => {
          if (onFrame(frame)) resolve()
        })
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Everything that a socket receives until its other side ends. */
export async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  if (!socket.readableEnded) await once(socket, 'end')
  return Buffer.concat(chunks)
}

/** A promise and the function that resolves it. */
export function signal<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** The end of this turn of the event loop. */
export const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A log that keeps what it is told. */
export function keptLog(): Log & { lines: { level: string; details: Record<string, unknown>; message: string }[] } {
  const lines: { level: string; details: Record<string, unknown>; message: string }[] = []
  const at = (level: string) => (details: object, message: string) => {
    lines.push({ level, details: { ...details }, message })
  }
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
