import { describe, expect, it } from 'vitest'
import { startCluster } from './cluster.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Clients wait for the next worker, however long a start takes on a busy machine. */
const gatewayArgs = ['--no-worker-timeout', '30']

const eventsCode = `
import { Gateway } from '@gatewayworker/businessworker'
import { greeting } from './greeting.ts'

export async function onMessage(): Promise<void> {
  await Gateway.sendToCurrentClient(greeting)
}
`

describe('--watch', () => {
  it('starts the worker again when a file of it changes; clients stay', async () => {
    const folder = temporaryFolder({
      'Events.ts': eventsCode,
      'greeting.ts': "export const greeting = 'one'",
      'package.json': '{"type":"module"}',
    })
    const cluster = await startCluster({ events: folder.path('Events.ts'), gatewayArgs, workerArgs: ['--watch'] })
    const client = await cluster.open()
    client.send('?')
    expect(await client.next()).toBe('one')

    // What the entry file imports counts, too.
    let again = cluster.workers.next({ msg: 'ready' })
    folder.write('greeting.ts', "export const greeting = 'two, and longer'")
    await again
    client.send('?')
    expect(await client.next()).toBe('two, and longer')

    again = cluster.workers.next({ msg: 'ready' })
    folder.write('Events.ts', eventsCode.replace('(greeting)', "('really ' + greeting)"))
    await again
    client.send('?')
    expect(await client.next()).toBe('really two, and longer')
    expect(cluster.workers.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('shows a mistake with file and line, and waits for the next change', async () => {
    const folder = temporaryFolder({
      'Events.ts': 'export function onMessage() {\n  const = 1\n}\n',
      'greeting.ts': "export const greeting = 'mended'",
      'package.json': '{"type":"module"}',
    })
    const cluster = await startCluster({
      events: folder.path('Events.ts'),
      gatewayArgs,
      workerArgs: ['--watch'],
      workers: 0,
    })
    const started = cluster.startWorkers()
    const mistake = await cluster.workers.line({ level: 'error' })
    expect(mistake.msg).toMatch(/Events\.ts:2:9: [\s\S]*waiting for a file to change$/)

    folder.write('Events.ts', eventsCode)
    await started
    const client = await cluster.open()
    client.send('?')
    expect(await client.next()).toBe('mended')

    const waits = cluster.workers.next({ level: 'error' })
    folder.write('greeting.ts', 'export const greeting = ')
    expect((await waits).msg).toMatch(/greeting\.ts:1:\d+: /)
    // Meanwhile clients wait for a worker.
    client.send('?')
    folder.write('greeting.ts', "export const greeting = 'mended again'")
    expect(await client.next()).toBe('mended again')
  })
})
