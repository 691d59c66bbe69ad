import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { linkWorker } from '../../gateway/test/support/raw-peer.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { buildAnswer } from '../../protocol/test/build-frame.ts'
import { createIdentity } from '../../protocol/test/certificates.ts'
import {
  announce,
  closedAddress,
  codes,
  listen,
  look,
  serve,
  startFakeRegister,
  startRegister,
  startServedGateway,
} from './support.ts'

const HOUR_MS = 3_600_000

/** A set-up with one fault: the registers to look at, the secret key to do so with, and words that have to be in what is said of it. */
interface Seeded {
  registers: string[]
  secretKey?: string
  words: string[]
}

const faults: [fault: string, code: string, seed: () => Promise<Seeded>][] = [
  [
    'a host name that does not exist',
    'GW-DNS',
    async () => ({ registers: ['register.invalid:1236'], words: ['register.invalid'] }),
  ],
  [
    'a register that is not there',
    'GW-REGISTER-UNREACHABLE',
    async () => {
      const address = await closedAddress()
      return { registers: [address], words: [address, 'nothing listens'] }
    },
  ],
  [
    'an HTTP server in place of a register',
    'GW-REGISTER-WRONG-PORT',
    async () => {
      const address = await listen(createServer((_request, response) => response.end('hello')))
      return { registers: [address], words: [address, 'HTTP server'] }
    },
  ],
  [
    'the LAN port of a gateway in place of a register',
    'GW-REGISTER-WRONG-PORT',
    async () => {
      const { lanAddress } = await startGateway({ secretKey: 'S' })
      return { registers: [lanAddress], words: [lanAddress, 'the LAN port of a gateway'] }
    },
  ],
  [
    'the port for clients in place of a register',
    'GW-REGISTER-WRONG-PORT',
    async () => {
      const { address } = await startGateway()
      return { registers: [`127.0.0.1:${address.port}`], words: ['the port of a gateway for clients'] }
    },
  ],
  [
    'a register with another secret',
    'GW-SECRET-WRONG',
    async () => {
      const address = await startRegister('S')
      return { registers: [address], secretKey: 'T', words: [`The register ${address}`] }
    },
  ],
  [
    'a gateway with another secret',
    'GW-SECRET-WRONG',
    async () => {
      const register = await startRegister('S')
      const { lanAddress } = await startGateway({ secretKey: 'T' })
      await announce(register, lanAddress, 'S')
      return { registers: [register], secretKey: 'S', words: [`The gateway ${lanAddress}`] }
    },
  ],
  [
    'a gateway that is announced where nobody listens',
    'GW-GATEWAY-UNREACHABLE',
    async () => {
      const [register, address] = [await startRegister(), await closedAddress()]
      await announce(register, address)
      return { registers: [register], words: [address, '--lan-ip'] }
    },
  ],
  [
    'a gateway whose address leads to another one',
    'GW-GATEWAY-OTHER',
    async () => {
      const register = await startRegister()
      const { lanAddress } = await startGateway({ lanHost: '127.0.0.2' })
      // The whole of 127.0.0.0/8 is this host.
      const announced = lanAddress.replace('127.0.0.1', '127.0.0.2')
      await announce(register, announced)
      return { registers: [register], words: [announced, lanAddress] }
    },
  ],
  [
    'the same where there is a secret, and the other one refuses a proof that is not for it',
    'GW-GATEWAY-OTHER',
    async () => {
      const register = await startRegister('S')
      const { lanAddress } = await startGateway({ lanHost: '127.0.0.2', secretKey: 'S' })
      const announced = lanAddress.replace('127.0.0.1', '127.0.0.2')
      await announce(register, announced, 'S')
      return { registers: [register], secretKey: 'S', words: [announced, lanAddress] }
    },
  ],
  [
    'a gateway whose address leads to a web server',
    'GW-GATEWAY-WRONG-PORT',
    async () => {
      const register = await startRegister()
      const address = await listen(createServer((_request, response) => response.end('hello')))
      await announce(register, address)
      return { registers: [register], words: [address, 'HTTP server'] }
    },
  ],
  [
    'a gateway that announces what is no address',
    'GW-GATEWAY-WRONG-PORT',
    async () => ({ registers: [await startFakeRegister(['gateway-1:2900'])], words: ['gateway-1:2900'] }),
  ],
  [
    'two gateways with the same address',
    'GW-LAN-ADDRESS-TWICE',
    async () => {
      const register = await startRegister()
      const { lanAddress } = await startServedGateway([register])
      await announce(register, lanAddress)
      return { registers: [register], words: [lanAddress] }
    },
  ],
  [
    'a gateway on another host that announces 127.0.0.1',
    'GW-LAN-IP-LOOPBACK',
    async () => {
      const announcements = [{ address: '127.0.0.1:2900', from: '::ffff:203.0.113.7' }]
      const description = { announcements, time: Date.now(), version: '0.1.0' }
      const register = await startFakeRegister(['127.0.0.1:2900'], description)
      return { registers: [register], words: ['127.0.0.1:2900', '--lan-ip 203.0.113.7'] }
    },
  ],
  [
    'a gateway that only one of two registers knows',
    'GW-REGISTERS-DIFFER',
    async () => {
      const registers = [await startRegister(), await startRegister()]
      const { lanAddress } = await startServedGateway([registers[0]!])
      return { registers, words: [lanAddress, `not known to the register ${registers[1]}`] }
    },
  ],
  [
    'a register that knows no gateway',
    'GW-NO-GATEWAY',
    async () => ({ registers: [await startRegister()], words: ['start_gateway'] }),
  ],
  [
    'a gateway without workers',
    'GW-NO-WORKER',
    async () => {
      const register = await startRegister()
      const { lanAddress } = await startGateway()
      await announce(register, lanAddress)
      return { registers: [register], words: [lanAddress] }
    },
  ],
  [
    'a host whose clock is an hour ahead',
    'GW-CLOCK',
    async () => {
      const { lanAddress } = await startServedGateway([])
      const description = { announcements: [], time: Date.now() + HOUR_MS, version: '0.1.0' }
      const register = await startFakeRegister([lanAddress], description)
      return { registers: [register], words: [register, '3600 s ahead'] }
    },
  ],
  [
    'a register of another version',
    'GW-VERSION',
    async () => {
      const { lanAddress } = await startServedGateway([])
      const description = { announcements: [], time: Date.now(), version: '9.9.9' }
      return { registers: [await startFakeRegister([lanAddress], description)], words: ['9.9.9'] }
    },
  ],
]

describe('what keeps a cluster from working is named rightly', () => {
  it.each(faults)('%s: %s', async (_fault, code, seed) => {
    const { registers, secretKey = '', words } = await seed()
    const examination = await look(registers, { secretKey })
    expect(codes(examination)).toEqual([code])
    const { fix, what } = examination.findings[0]!
    for (const word of words) expect(`${what} ${fix}`).toContain(word)
  })

  it('a register that takes connections and says nothing', async () => {
    const silent = await serve(() => {})
    expect(codes(await look([silent]))).toEqual(['GW-REGISTER-WRONG-PORT'])
  })
})

describe('TLS that does not fit is named rightly', () => {
  it('of a register that has it, has it not, or has it from another CA', async () => {
    const tls = createIdentity()
    const [encrypted, plain] = [await startRegister('S', tls), await startRegister('S')]
    const different = ['GW-TLS-DIFFERS']
    expect(codes(await look([encrypted], { secretKey: 'S' }))).toEqual(different)
    expect(codes(await look([plain], { secretKey: 'S', tls }))).toEqual(different)
    expect(codes(await look([encrypted], { secretKey: 'S', tls: createIdentity() }))).toEqual(different)
  })

  it('of a gateway, and not where it fits', async () => {
    const tls = createIdentity()
    const register = await startRegister('S', tls)
    const plain = await startGateway({ secretKey: 'S' })
    await announce(register, plain.lanAddress, 'S', tls)
    expect(codes(await look([register], { secretKey: 'S', tls }))).toEqual(['GW-TLS-DIFFERS'])
    const encrypted = await startGateway({ secretKey: 'S', tls })
    const other = await startRegister('S', tls)
    await announce(other, encrypted.lanAddress, 'S', tls)
    expect(codes(await look([other], { secretKey: 'S', tls }))).toEqual(['GW-NO-WORKER'])
  })
})

describe('nothing is found', () => {
  it('where all is well, by a worker, by a backend and by each gateway', async () => {
    const registers = [await startRegister('S'), await startRegister('S')]
    const gateways = [await startServedGateway(registers, 'S'), await startServedGateway(registers, 'S')]
    const looks = [undefined, ...gateways.map(({ instance, lanAddress }) => ({ instance, lanAddress }))]
    for (const own of looks) {
      const { checks, findings } = await look(registers, { own, secretKey: 'S' })
      expect(findings).toEqual([])
      expect(checks).toContain(`register ${registers[0]}`)
      expect(checks).toContain(`gateway ${own?.lanAddress ?? gateways[1]!.lanAddress}`)
    }
  })

  it('where a worker comes just after the first look', async () => {
    const gateway = await startGateway()
    let looks = 0
    const register = await serve((socket) => {
      createInterface(socket).once('line', async () => {
        looks += 1
        if (looks === 2) await linkWorker(gateway)
        socket.write(`${JSON.stringify({ event: 'broadcast_addresses', addresses: [gateway.lanAddress] })}\n`)
      })
    })
    expect((await look([register])).findings).toEqual([])
    expect(looks).toBe(2)
  })

  it('of a register that knows no questions, as one of PHP', async () => {
    const { lanAddress } = await startServedGateway([])
    expect((await look([await startFakeRegister([lanAddress])])).findings).toEqual([])
  })

  it('of a gateway that answers as one of PHP', async () => {
    const address = await serve((socket) => void socket.once('data', () => socket.write(buildAnswer('i:0;'))))
    expect((await look([await startFakeRegister([address])])).findings).toEqual([])
  })

  it('before a start, where gateways or workers are still to come', async () => {
    const register = await startRegister()
    expect((await look([register], { isComplete: false })).findings).toEqual([])
    const { lanAddress } = await startGateway()
    await announce(register, lanAddress)
    expect((await look([register], { isComplete: false })).findings).toEqual([])
  })
})

describe('a gateway that looks for itself', () => {
  it('finds that no register lists it', async () => {
    const { instance, lanAddress } = await startServedGateway([])
    const own = { instance, lanAddress }
    expect(codes(await look([await startRegister()], { own }))).toEqual(['GW-NOT-LISTED'])
  })

  it('finds another process behind its address', async () => {
    const register = await startRegister()
    const { lanAddress } = await startServedGateway([register])
    expect(codes(await look([register], { own: { instance: 'mine', lanAddress } }))).toEqual(['GW-GATEWAY-OTHER'])
  })

  it('finds that no worker came', async () => {
    const register = await startRegister()
    const { instance, lanAddress } = await startGateway()
    await announce(register, lanAddress)
    expect(codes(await look([register], { own: { instance, lanAddress } }))).toEqual(['GW-NO-WORKER'])
  })
})
