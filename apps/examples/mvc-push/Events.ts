// All that the workers have to do: tell each page its client id. Everything else is decided by the web site, in site.mjs.
import { Gateway } from '@gatewayworker/businessworker'

export async function onConnect(clientId: string): Promise<void> {
  await Gateway.sendToClient(clientId, { type: 'init', clientId })
}
