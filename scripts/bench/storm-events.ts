import { Gateway } from '@gatewayworker/businessworker'

export { onMessage } from './events.ts'

/** What a site does when somebody comes: the page learns its id, which it gives to the backend to be bound. */
export async function onConnect(clientId: string): Promise<void> {
  await Gateway.sendToCurrentClient(clientId)
}

export async function onWebSocketConnect(clientId: string): Promise<void> {
  await Gateway.joinGroup(clientId, 'online')
}

export function onClose(_clientId: string): void {}
