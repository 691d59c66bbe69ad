// All that the workers have to do: tell each page its client id, and how to prove to the site that it is its own.
import { Gateway } from '@gatewayworker/businessworker'

export async function onConnect(client_id: string): Promise<void> {
  await Gateway.sendToClient(client_id, { type: 'init', client_id, bind_token: Gateway.createBindToken(client_id) })
}
