import { Gateway } from '@gatewayworker/businessworker'

/** Answers at once, but 'slow' after 10 ms, as a database call would, and 'stuck' never. */
export async function onMessage(_clientId: string, message: string | Buffer): Promise<void> {
  const text = String(message)
  if (text.startsWith('stuck')) await new Promise(() => {})
  if (text.startsWith('slow')) await new Promise((resolve) => setTimeout(resolve, 10))
  await Gateway.sendToCurrentClient(text.slice(0, 32))
}
