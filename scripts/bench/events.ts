import { Gateway } from '@gatewayworker/businessworker'

/** Answers the load generator; plain-server.mjs speaks the same three messages. */
export async function onMessage(clientId: string, message: string | Buffer): Promise<void> {
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
  }
}
