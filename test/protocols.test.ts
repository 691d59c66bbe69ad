import { describe, expect, it, onTestFinished } from 'vitest'
import { makeCertificate } from '../packages/gateway/test/support/certificate.ts'
import { scripts } from './cluster.ts'
import { ConsoleCluster } from './console-cluster.ts'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'
import { RawConnection } from './raw-connection.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TestClient } from './test-client.ts'

/** `bind NAME`, `to NAME TEXT`, `all TEXT` and `bye`. */
const EVENTS = `import { Gateway } from '@gatewayworker/businessworker'

export async function onMessage(clientId: string, message: string | Buffer): Promise<void> {
  const [verb, ...words] = String(message).split(' ')
  if (verb === 'bind') await Gateway.bindUid(clientId, words[0]!)
  if (verb === 'to') await Gateway.sendToUid(words[0]!, words[1]!)
  if (verb === 'all') await Gateway.sendToAll(words[0]!)
  if (verb === 'bye') await Gateway.closeClient(clientId, 'bye')
  else await Gateway.sendToCurrentClient('done')
}
`

/** Messages in angle brackets. */
const PROTOCOL = `import type { ClientProtocol } from 'gatewayworker'

export default class Brackets {
  static input(buffer: Buffer): number {
    return buffer[0] === 0x3c ? buffer.indexOf('>') + 1 : -1
  }
  static decode(packet: Buffer): string {
    return packet.toString('utf8', 1, packet.length - 1)
  }
  static encode(message: Buffer): string {
    return \`<\${message}>\`
  }
}
Brackets satisfies ClientProtocol
`

/** A client that speaks to a socket, as \`said\` each time it has been told so much. */
interface Talker {
  say(message: string): void
  hears(message: string): Promise<void>
}

async function talkTo(
  port: number,
  encode: (message: string) => string,
): Promise<Talker & { ended(): Promise<unknown> }> {
  const connection = await RawConnection.open(port)
  onTestFinished(() => void connection.socket.destroy())
  let heard = 0
  return {
    say: (message) => connection.write(encode(message)),
    async hears(message) {
      const expected = encode(message)
      const received = await connection.until((received) => received.length >= heard + expected.length)
      expect(received.toString('utf8', heard, heard + expected.length)).toBe(expected)
      heard += expected.length
    },
    ended: () => connection.isEnded(),
  }
}

async function talkToWss(port: number): Promise<Talker> {
  const client = await TestClient.open(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false })
  onTestFinished(() => client.socket.terminate())
  return {
    say: (message) => client.send(message),
    hears: async (message) => expect(await client.next()).toBe(message),
  }
}

it('clients of gateways with different protocols in one cluster push to each other', async () => {
  const [register, web, line, own] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const { cert, key } = makeCertificate()
  const cluster = new ConsoleCluster({
    'brackets.ts': PROTOCOL,
    'cert.pem': String(cert),
    'key.pem': String(key),
    'Events.ts': EVENTS,
    'gatewayworker.config.ts': `import { defineCluster } from 'gatewayworker'

export default defineCluster({
  registers: [{ listen: '127.0.0.1:${register}' }],
  workers: [{ events: './Events.ts' }],
  gateways: [
    { listen: 'wss://127.0.0.1:${web}', name: 'Web', sslCert: './cert.pem', sslKey: './key.pem', startPort: 0 },
    { listen: 'text://127.0.0.1:${line}', name: 'Text', startPort: 0 },
    { listen: 'tcp://127.0.0.1:${own}', name: 'Own', protocol: './brackets.ts', startPort: 0 },
  ],
})
`,
    'package.json': '{"type":"module"}',
  })
  expect(await cluster.run('start', '-d')).toMatchObject({ code: 0 })
  const talkers = [
    ['web', await talkToWss(web)],
    ['line', await talkTo(line, (message) => `${message}\n`)],
    ['own', await talkTo(own, (message) => `<${message}>`)],
  ] as const
  for (const [name, talker] of talkers) {
    talker.say(`bind ${name}`)
    await talker.hears('done')
  }
  for (const [name, talker] of talkers) {
    for (const [otherName, other] of talkers) {
      talker.say(`to ${otherName} from-${name}`)
      await other.hears(`from-${name}`)
      await talker.hears('done')
    }
    talker.say(`all everybody-${name}`)
    for (const [, other] of talkers) await other.hears(`everybody-${name}`)
    await talker.hears('done')
  }
  const [, lineTalker] = talkers[1]
  lineTalker.say('bye')
  await lineTalker.hears('bye')
  await lineTalker.ended()
  const processes = JSON.parse((await cluster.run('status', '--json')).text).processes as { listen?: string }[]
  const listens = processes.map(({ listen }) => listen)
  for (const scheme of ['wss', 'text', 'tcp']) expect(String(listens)).toContain(`${scheme}://`)
})

describe('a gateway is refused in one line that names what is wrong:', () => {
  const { cert, key } = makeCertificate()
  const { key: otherKey } = makeCertificate()
  it.each([
    ['TLS without a certificate', ['--listen', 'wss://127.0.0.1:0'], 'needs --ssl-cert FILE and --ssl-key FILE'],
    ['a certificate without TLS', ['--listen', 'text://127.0.0.1:0', '--ssl-cert', 'cert.pem'], 'are of no use'],
    [
      'a certificate with the key of another',
      ['--listen', 'ssl://127.0.0.1:0', '--ssl-cert', 'cert.pem', '--ssl-key', 'other.pem'],
      'cannot be used: ',
    ],
    [
      'a protocol of its own for WebSocket',
      ['--listen', 'ws://127.0.0.1:0', '--protocol', 'half.mjs'],
      '--protocol is for',
    ],
    ['half a protocol', ['--listen', 'tcp://127.0.0.1:0', '--protocol', 'half.mjs'], 'it has no decode'],
  ])('%s', async (_what, args, message) => {
    const folder = temporaryFolder({
      'cert.pem': String(cert),
      'half.mjs': 'export const input = () => 0',
      'key.pem': String(key),
      'other.pem': String(otherKey),
    })
    const files = args.map((arg) => (/^\w+\.\w+$/.test(arg) ? folder.path(arg) : arg))
    const program = new Program(scripts.gateway, ['--start-port', '0', ...files])
    expect((await within(program.exited, 'the end of the gateway')).code).toBe(1)
    expect(program.lines.filter(({ level }) => level === 'fatal')).toMatchObject([
      { msg: expect.stringContaining(message) },
    ])
  })
})
