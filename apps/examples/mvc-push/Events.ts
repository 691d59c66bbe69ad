// All that the workers have to do: tell each page its client id, and how to prove to the site that it is its own. Everything else is
// decided by the web site.
import { Gateway } from '@gatewayworker/businessworker'

export async function onConnect(clientId: string): Promise<void> {
  // Without a secret, and nobody should run a cluster so, there is nothing to sign with, and the site binds any client id.
  const bindToken = Gateway.secretKey === '' ? undefined : Gateway.createBindToken(clientId)
  await Gateway.sendToClient(clientId, { type: 'init', clientId, bindToken })
}
