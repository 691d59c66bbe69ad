import { existsSync, readFileSync } from 'node:fs'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { TestClient } from './test-client.ts'

/** Crashes at 'poison' until a file says that the fault is mended; then it writes down what it was told. */
const EVENTS = `import { appendFileSync, existsSync } from 'node:fs'
import { Gateway } from '@gatewayworker/businessworker'

const file = (name) => new URL(name, import.meta.url)

export async function onMessage(clientId, message, context) {
  if (message.startsWith('poison')) {
    if (!existsSync(file('mended'))) process.exit(1)
    const { messageId, redelivered, session } = context
    appendFileSync(file('handled'), JSON.stringify({ message, messageId, redelivered, session }) + '\\n')
    return
  }
  context.session.name = message
  await Gateway.sendToCurrentClient(message)
}
`

it('poisonous messages of three clients are given up, bystanders are served on, and a replay handles them', async () => {
  const [register, port] = [await freePort(), await freePort()]
  const cluster = new ConsoleCluster({
    'Events.mjs': EVENTS,
    'gatewayworker.config.json': JSON.stringify({
      gateways: [{ listen: `websocket://127.0.0.1:${port}`, startPort: 0 }],
      registers: [{ listen: `127.0.0.1:${register}` }],
      workers: [{ count: 2, events: './Events.mjs' }],
    }),
  })
  expect(await cluster.run('start', '-d')).toMatchObject({ code: 0 })
  expect((await cluster.run('dead-letters')).text).toBe('no dead letters\n')
  const open = async () => {
    const client = await TestClient.open(`ws://127.0.0.1:${port}`)
    onTestFinished(() => client.socket.terminate())
    return client
  }
  const guilty = [await open(), await open(), await open()]
  const bystanders = [await open(), await open(), await open(), await open()]
  for (const [at, client] of guilty.entries()) {
    client.send(`name ${at}`)
    await client.next()
  }
  for (const [at, client] of guilty.entries()) client.send(`poison ${at}`)
  const isOver = Promise.all(guilty.map((client) => client.isClosed()))
  for (const [at, client] of bystanders.entries()) client.send(`hello ${at}`)
  for (const [at, client] of bystanders.entries()) expect(await client.next()).toBe(`hello ${at}`)
  for (const closing of await isOver) expect(closing).toEqual({ code: 1011, reason: 'an event could not be handled' })
  // Nobody else has lost anything, or was closed.
  for (const [at, client] of bystanders.entries()) {
    client.send(`still there ${at}`)
    expect(await client.next()).toBe(`still there ${at}`)
  }

  const { letters } = JSON.parse((await cluster.run('dead-letters', '--json')).text)
  expect(letters.map(({ text }: { text: string }) => text).sort()).toEqual(['poison 0', 'poison 1', 'poison 2'])
  const listed = await cluster.run('dead-letters')
  for (const { messageId } of letters) expect(listed.text).toContain(messageId)

  cluster.folder.write('mended', '')
  const [first] = letters
  expect((await cluster.run('dead-letters', '--replay', first.messageId)).text).toContain(
    `delivered again: ${first.messageId}`,
  )
  const wrong = await cluster.run('dead-letters', '--replay', 'nothing')
  expect(wrong).toMatchObject({ code: 1 })
  expect(wrong.text).toContain('not delivered again: nothing: there is no dead letter with this message id')
  expect((await cluster.run('dead-letters', '--replay', 'all')).text).toContain('no dead letters')
  const handled = () => {
    const path = cluster.folder.path('handled')
    return existsSync(path)
      ? readFileSync(path, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : []
  }
  await vi.waitUntil(() => handled().length === 3, { interval: 20, timeout: 10_000 })
  const byMessage = (one: { message: string }, other: { message: string }) => (one.message < other.message ? -1 : 1)
  expect(handled().sort(byMessage)).toEqual(
    guilty.map((_, at) => ({
      message: `poison ${at}`,
      messageId: letters.find(({ text }: { text: string }) => text === `poison ${at}`).messageId,
      redelivered: true,
      session: { name: `name ${at}` },
    })),
  )
  await cluster.run('stop')
}, 60_000)
