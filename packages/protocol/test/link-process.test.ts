import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { LinkListener } from '../src/listen.ts'
import { signal } from './link-pair.ts'

const SCRIPT = fileURLToPath(new URL('./push-and-end.mjs', import.meta.url))

/** Runs the script against a listener that never ends a link by itself; resolves with what arrived and how the script ended. */
async function run(ending: string) {
  const received: number[] = []
  const closed = signal()
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    onLink: () => ({
      onFrame: (frame) => received.push(frame.connectionId),
      onClose: () => closed.resolve(),
    }),
    port: 0,
    secretKey: '',
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  const child = spawn(process.execPath, [SCRIPT, String(port), ending], { stdio: ['ignore', 'inherit', 'inherit'] })
  onTestFinished(() => {
    child.kill()
  })
  const [code] = await once(child, 'exit')
  await closed.promise
  return { code, received }
}

it.each(['by itself', 'exit'])(
  'a script that pushes and ends (%s) ends, and all that it sent arrives',
  async (ending) => {
    const { code, received } = await run(ending)
    expect(code).toBe(0)
    expect(received).toEqual(Array.from({ length: 50 }, (_, n) => n))
  },
)
