import { type Context, Gateway } from '@gatewayworker/businessworker'

/** Answers the load generator; plain-server.mjs speaks the same messages. */
export async function onMessage(clientId: string, message: string | Buffer, context: Context): Promise<void> {
  const request = JSON.parse(String(message))
  switch (request.type) {
    case 'echo':
      await Gateway.sendToCurrentClient(message)
      break
    case 'join':
      await Gateway.joinGroup(clientId, request.group)
      await Gateway.sendToCurrentClient(JSON.stringify({ type: 'joined' }))
      break
    case 'group':
      await Gateway.sendToGroup(request.group, message)
      break
    case 'fill':
      Object.assign(context.session, createSession(request.items))
      await Gateway.sendToCurrentClient(JSON.stringify({ type: 'filled' }))
      break
    case 'read':
      if (context.session.user === undefined) throw new Error('the session is lost')
      await Gateway.sendToCurrentClient(message)
      break
    case 'change':
      context.session.count = Number(context.session.count) + 1
      await Gateway.sendToCurrentClient(message)
      break
  }
}

/** With 50 items it has 5 KB. */
function createSession(items: number): Record<string, unknown> {
  const createItem = (_: unknown, id: number) => ({
    id,
    name: `the item with number ${id}`,
    price: id * 1.5,
    tags: ['new', 'sale'],
  })
  return { count: 0, items: Array.from({ length: items }, createItem), user: { id: 7, name: 'Ann', roles: ['admin'] } }
}
