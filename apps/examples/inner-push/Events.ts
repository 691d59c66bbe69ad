// Workerman's recipe for a push from another program: a client's first message is its uid, and a line on a port for local programs
// goes to the client whose uid it names.
import type { Server } from 'node:net'
import { type BusinessWorker, type Context, Gateway } from '@gatewayworker/businessworker'
import { listenForLines } from './text-port.ts'

const port = Number(process.env.PUSH_PORT ?? 5678)
let textPort: Server | undefined

export async function onWorkerStart(worker: BusinessWorker): Promise<void> {
  // Only one process can have a port. One is enough: a push reaches the clients of all workers.
  if (worker.id === 0) textPort = await listenForLines(port, push)
}

export async function onMessage(clientId: string, message: string | Buffer, { session }: Context): Promise<void> {
  if (session.uid !== undefined) return
  const uid = String(message)
  await Gateway.bindUid(clientId, uid) // the client says who it is, and is believed: see the README
  session.uid = uid
}

export function onWorkerStop(): void {
  textPort?.close()
}

/**
 * Passes a line on as it is. A receipt says whether anybody took it: a send to a uid that nobody has is no error. Throws if the line is no
 * JSON, which ends the connection: it may be a request that a page of another site has a browser on this host send.
 */
async function push(line: string): Promise<'ok' | 'fail'> {
  const message = JSON.parse(line)
  try {
    const { delivered } = await Gateway.sendToUid(message.uid, line, { receipt: true })
    return delivered > 0 ? 'ok' : 'fail'
  } catch (error) {
    console.error(
      `This could not be pushed: ${JSON.stringify(line)} (${error instanceof Error ? error.message : error})`,
    )
    return 'fail'
  }
}
