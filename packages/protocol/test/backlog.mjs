// Run by link-memory.test.ts: a link whose peer reads nothing is given one small frame a turn. Prints what waits and how much memory it takes.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp, createServer } from 'node:net'
import { join } from 'node:path'
import { connect, createServer as createTlsServer } from 'node:tls'
import { Link } from '@gatewayworker/protocol'

const [certificates, frames] = process.argv.slice(2)
const read = (name) => readFileSync(join(certificates, name))
const tls = certificates === '' ? undefined : { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }

const server = tls === undefined ? createServer() : createTlsServer(tls)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address()
const accepted = once(server, tls === undefined ? 'connection' : 'secureConnection')
const address = { host: '127.0.0.1', port }
const near =
  tls === undefined ? connectTcp(address) : connect({ ...address, ...tls, checkServerIdentity: () => undefined })
const [[far]] = await Promise.all([accepted, once(near, tls === undefined ? 'connect' : 'secureConnect')])
far.pause()

const link = new Link(near, 'the peer', { onFrame: () => {} })
const before = process.memoryUsage().arrayBuffers
for (let n = 0; n < Number(frames); n += 1) {
  link.send(5, n, 0, '', 'twenty bytes of text')
  await new Promise((resolve) => setImmediate(resolve))
}
const { arrayBuffers } = process.memoryUsage()
console.log(JSON.stringify({ arrayBuffers: arrayBuffers - before, waiting: link.bufferedBytes }))
process.exit()
