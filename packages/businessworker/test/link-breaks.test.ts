import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { silentLog } from '@gatewayworker/protocol'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { GatewayServer } from '../../gateway/src/index.ts'
import { TestClient } from '../../gateway/test/support/test-client.ts'
import { GatewayClient } from '../../gateway-client/src/index.ts'
import { RegisterServer } from '../../register/src/index.ts'
import { BusinessWorker, type Context, Gateway } from '../src/index.ts'
import { type Deferred, defer } from './support.ts'

/** Where the gateway says it is, and where a proxy stands in for it; it is at 127.0.0.1 itself. */
const PROXY_HOST = '127.0.0.2'

type Direction = 'fromGateway' | 'toGateway'

/** The links between the gateway and its workers, which a test cuts: now, or after some more bytes in one direction. */
class Links {
  readonly #server = createServer((socket) => this.#pass(socket))
  readonly #links = new Set<{ cut(): void; left: Record<Direction, number> }>()
  #port = 0

  async listen(port: number): Promise<void> {
    this.#port = port
    this.#server.listen(port, PROXY_HOST)
    await once(this.#server, 'listening')
  }

  /** Cuts one of the links when so many more bytes have gone in a direction. */
  cut(which: number, direction: Direction, bytes: number): void {
    const links = [...this.#links]
    const link = links[which % Math.max(links.length, 1)]
    if (link === undefined) return
    link.left[direction] = bytes
    if (bytes === 0) link.cut()
  }

  /** Cuts nothing any more that was to be cut later. */
  heal(): void {
    for (const { left } of this.#links) {
      left.fromGateway = Number.POSITIVE_INFINITY
      left.toGateway = Number.POSITIVE_INFINITY
    }
  }

  close(): void {
    this.#server.close()
    for (const link of this.#links) link.cut()
  }

  #pass(near: Socket): void {
    const far = connect(this.#port, '127.0.0.1')
    const link = {
      cut: () => {
        near.destroy()
        far.destroy()
        this.#links.delete(link)
      },
      left: { fromGateway: Number.POSITIVE_INFINITY, toGateway: Number.POSITIVE_INFINITY },
    }
    this.#links.add(link)
    const forward = (from: Socket, to: Socket, direction: Direction) => {
      from.on('data', (chunk: Buffer) => {
        const left = link.left[direction]
        link.left[direction] = Math.max(0, left - chunk.length)
        to.write(chunk.subarray(0, Math.min(left, chunk.length)))
        if (left <= chunk.length) setImmediate(link.cut)
      })
      from.on('error', () => {})
      from.on('close', link.cut)
    }
    forward(far, near, 'fromGateway')
    forward(near, far, 'toGateway')
  }
}

/** What a worker's handler was called with, from its beginning to its end. */
interface Call {
  clientId: string
  event: string
  hasEnded: boolean
  redelivered: boolean
  session: Record<string, unknown>
  worker: number
}

type Step =
  | { kind: 'connect' | 'wait' }
  | { client: number; kind: 'leave' | 'say' | 'write' }
  | { bytes: number; direction: Direction; kind: 'cut'; which: number }
  | { kind: 'settle'; which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.constant<Step>({ kind: 'connect' }), weight: 2 },
  { arbitrary: fc.constant<Step>({ kind: 'wait' }), weight: 4 },
  { arbitrary: fc.record({ client: fc.nat(5), kind: fc.constant('say' as const) }), weight: 8 },
  { arbitrary: fc.record({ client: fc.nat(5), kind: fc.constant('write' as const) }), weight: 3 },
  { arbitrary: fc.record({ client: fc.nat(5), kind: fc.constant('leave' as const) }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat(5) }), weight: 6 },
  {
    arbitrary: fc.record({
      bytes: fc.oneof(fc.constant(0), fc.nat(400)),
      direction: fc.constantFrom<Direction>('fromGateway', 'toGateway'),
      kind: fc.constant('cut' as const),
      which: fc.nat(3),
    }),
    weight: 2,
  },
)

/** A register, a gateway, one or two workers behind links that break, a backend, and clients. */
class Cluster {
  /** Handlers that began while another one of the same client ran in the same worker. */
  readonly besides: string[] = []
  readonly calls: Call[] = []
  readonly clients: { client: TestClient; hasLeft: boolean; id: string; said: number }[] = []
  readonly #backend: GatewayClient // whose link breaks, too
  readonly #gateway: GatewayServer
  readonly #links: Links
  readonly #register: RegisterServer
  readonly #workers: BusinessWorker[]
  #gates: Deferred[] = []
  #isOpen = false

  static async start(workers: number): Promise<Cluster> {
    const register = new RegisterServer({ host: '127.0.0.1', port: 0, secretKey: '' })
    const registerAddresses = [`127.0.0.1:${(await register.start()).port}`]
    const links = new Links()
    const gateway = new GatewayServer({
      clientHost: '127.0.0.1',
      clientPort: 0,
      lanHost: '127.0.0.1',
      lanIp: PROXY_HOST,
      registerAddresses,
    })
    await gateway.start()
    await links.listen(Number(gateway.lanAddress.split(':')[1]))
    return new Cluster(register, registerAddresses, links, gateway, workers).#begin()
  }

  private constructor(
    register: RegisterServer,
    addresses: string[],
    links: Links,
    gateway: GatewayServer,
    workers: number,
  ) {
    this.#register = register
    this.#links = links
    this.#gateway = gateway
    this.#backend = new GatewayClient({ registerAddress: addresses })
    this.#workers = Array.from({ length: workers }, (_, id) => {
      const events = {
        onMessage: (clientId: string, message: string | Buffer, context: Context) =>
          this.#handle(id, clientId, String(message), context),
        onClose: (clientId: string, context: Context) => this.#handle(id, clientId, 'close', context),
      }
      return new BusinessWorker({ events, id, log: silentLog, registerAddresses: addresses })
    })
  }

  async #begin(): Promise<this> {
    for (const worker of this.#workers) await worker.start()
    return this
  }

  async #handle(worker: number, clientId: string, event: string, context: Context): Promise<void> {
    const { redelivered, session } = context
    const call = { clientId, event, hasEnded: false, redelivered, session: structuredClone(session), worker }
    const isBeside = (other: Call) => !other.hasEnded && other.clientId === clientId && other.worker === worker
    this.besides.push(...this.calls.filter(isBeside).map((other) => `${event} began beside ${other.event}`))
    this.calls.push(call)
    if (!event.startsWith('probe')) session[`by ${worker}`] = event
    const gate = defer()
    if (this.#isOpen) gate.resolve()
    else this.#gates.push(gate)
    await gate.promise
    // In one program there is one `Gateway`, whose links are those of the last worker that has started.
    if (this.#workers.length === 1 && event.startsWith('message')) {
      await Gateway.updateSession(clientId, { 'written after': event })
    }
    call.hasEnded = true
  }

  async take(next: Step): Promise<void> {
    switch (next.kind) {
      case 'connect':
        return this.#connect()
      case 'wait':
        for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate)
        return
      case 'cut':
        this.#links.cut(next.which, next.direction, next.bytes)
        return
      case 'settle':
        this.#gates.splice(next.which % Math.max(this.#gates.length, 1), 1)[0]?.resolve()
        return
      default: {
        const client = this.clients[next.client % Math.max(this.clients.length, 1)]
        if (client === undefined || client.hasLeft) return
        if (next.kind === 'say') {
          client.client.send(`message ${client.said}`)
          client.said += 1
        }
        if (next.kind === 'write') await this.#backend.updateSession(client.id, { backend: `at ${client.said}` })
        if (next.kind === 'leave') {
          client.hasLeft = true
          client.client.close()
        }
      }
    }
  }

  async #connect(): Promise<void> {
    if (this.clients.length === 6) return
    const client = new TestClient(`ws://127.0.0.1:${this.#gateway.address.port}/`)
    await once(client.socket, 'open')
    const { rows } = this.#gateway.connections({ limit: 10, offset: 0 })
    this.clients.push({ client, hasLeft: false, id: rows.at(-1)!.clientId, said: 0 })
  }

  /** Lets everything run that waits, and comes to rest; then says what each client's last session is here and at the gateway. */
  async rest(): Promise<void> {
    this.#links.heal()
    this.#isOpen = true
    for (const { resolve } of this.#gates.splice(0)) resolve()
    for (const { client, hasLeft, id } of this.clients) {
      const ended = (event: string) =>
        this.calls.some((call) => call.clientId === id && call.event === event && call.hasEnded)
      if (hasLeft) {
        await vi.waitUntil(() => ended('close'), { interval: 2, timeout: 15_000 })
        continue
      }
      // What one link tells and what another does pass each other on the way: the two are equal when all has come.
      for (let probes = 0, isEqual = false; !isEqual; probes += 1) {
        const probe = `probe ${probes}`
        client.send(probe)
        await vi.waitUntil(() => ended(probe), { interval: 2, timeout: 15_000 })
        const atWorker = this.calls.findLast((call) => call.clientId === id && call.event === probe)!.session
        const atGateway = await this.#backend.getSession(id)
        isEqual = isDeepStrictEqual(atWorker, atGateway)
        if (probes === 20) expect(atWorker).toEqual(atGateway)
      }
    }
  }

  async stop(): Promise<void> {
    for (const { client } of this.clients) client.socket.terminate()
    for (const worker of this.#workers) await worker.stop(0)
    await this.#backend.close()
    this.#links.close()
    await this.#gateway.stop(0)
    await this.#register.stop()
  }
}

test('links that break anywhere: order, one handler at a time, one onClose, and equal sessions at rest', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 2),
      fc.array(step, { maxLength: 40, minLength: 10 }),
      async (workers, steps) => {
        const cluster = await Cluster.start(workers)
        try {
          await cluster.take({ kind: 'connect' })
          for (const next of steps) await cluster.take(next)
          await cluster.rest()
          expect(cluster.besides).toEqual([])
          for (const { hasLeft, id, said } of cluster.clients) {
            const calls = cluster.calls.filter(({ clientId }) => clientId === id)
            const messages = calls.map(({ event }) => event).filter((event) => event.startsWith('message'))
            // Each for the first time, in order; what comes again is marked.
            expect([...new Set(messages)]).toEqual(Array.from({ length: said }, (_, at) => `message ${at}`))
            const seen = new Set<string>()
            for (const { event, redelivered } of calls) {
              if (seen.has(event)) expect(redelivered).toBe(true)
              seen.add(event)
            }
            expect(seen.has('close')).toBe(hasLeft)
            if (!hasLeft) continue
            const afterClose = calls.slice(calls.findIndex(({ event }) => event === 'close') + 1)
            expect(afterClose.filter(({ redelivered }) => !redelivered)).toEqual([])
          }
        } finally {
          await cluster.stop()
        }
      },
    ),
    { numRuns: Number(process.env.LINK_BREAKS_RUNS ?? 60) },
  )
}, 120_000)
