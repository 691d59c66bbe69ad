import type { ChildProcess } from 'node:child_process'

/** What node:cluster's master says to a child together with a connection that it has accepted. */
interface NewConnection {
  act: 'newconn'
  /** For each port that is shared. */
  key: string
}

/**
 * Ends a connection that was on its way to a child of node:cluster when the child died. The master closes what it has accepted when the
 * child says that it has it; without that word it would stay open for good, and its client wait for an answer forever.
 */
export function endHandedOverWith(child: ChildProcess): void {
  const send = child.send as (...parameters: unknown[]) => boolean
  /** The latest of each port; the next one goes when the child has it. */
  const handedOver = new Map<string, { close(): void }>()
  child.send = ((...parameters: unknown[]) => {
    const [message, handle] = parameters
    if (isNewConnection(message)) handedOver.set(message.key, handle as { close(): void })
    return send.apply(child, parameters)
  }) as ChildProcess['send']
  child.once('exit', () => {
    // Those that the child has are closed already, and closing them again does nothing.
    for (const handle of handedOver.values()) handle.close()
  })
}

function isNewConnection(message: unknown): message is NewConnection {
  return (message as Partial<NewConnection> | null)?.act === 'newconn'
}
