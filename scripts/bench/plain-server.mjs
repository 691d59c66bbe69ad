// What the cluster is compared with: one process, the same `ws` library, the same messages as events.ts, and a loop of
// `ws.send` for a group. Written as one would write it for production, so that the comparison is fair.
import { WebSocketServer } from 'ws'

/** @type {Map<string, Set<import('ws').WebSocket>>} */
const groups = new Map()

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
server.on('listening', () => {
  const { address, port } = server.address()
  process.stdout.write(`${JSON.stringify({ pid: process.pid, msg: 'ready', listen: `${address}:${port}` })}\n`)
})
server.on('connection', onConnection)

function onConnection(client) {
  const joined = new Set()
  let session = {}

  client.on('message', (data, isBinary) => {
    const message = JSON.parse(data.toString())
    switch (message.type) {
      case 'echo':
        client.send(data, { binary: isBinary })
        break
      case 'fill':
        session = { count: 0, items: message.items }
        client.send(JSON.stringify({ type: 'filled' }))
        break
      case 'read':
        if (session.items === undefined) throw new Error('the session is lost')
        client.send(data, { binary: isBinary })
        break
      case 'change':
        session.count += 1
        client.send(data, { binary: isBinary })
        break
      case 'join':
        join(message.group)
        client.send(JSON.stringify({ type: 'joined' }))
        break
      case 'group':
        for (const member of groups.get(message.group) ?? []) member.send(data, { binary: isBinary })
        break
    }
  })
  client.on('error', (error) => process.stderr.write(`plain server: ${error.message}\n`))
  client.on('close', () => {
    for (const group of joined) leave(group)
  })

  function join(group) {
    const members = groups.get(group)
    if (members === undefined) groups.set(group, new Set([client]))
    else members.add(client)
    joined.add(group)
  }

  function leave(group) {
    const members = groups.get(group)
    members.delete(client)
    if (members.size === 0) groups.delete(group)
  }
}
