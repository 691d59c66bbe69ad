import { execFile } from 'node:child_process'
import type { Logger } from 'pino'

/** Where systemd listens, if it started this process as a service of Type=notify. */
const socket = process.env.NOTIFY_SOCKET
// What users' code starts has nothing to say for the service.
delete process.env.NOTIFY_SOCKET

/**
 * Tells systemd, if it wants to hear it, how far the service is. Node cannot write to a Unix datagram socket: systemd's own program does,
 * which is why the unit needs NotifyAccess=all.
 */
export function tellServiceManager(state: 'READY=1' | 'STOPPING=1', log: Logger): void {
  if (socket === undefined) return
  execFile('systemd-notify', [state], { cwd: '/', env: { ...process.env, NOTIFY_SOCKET: socket } }, (error) => {
    if (error !== null) log.error({ err: error }, `systemd could not be told ${state}`)
  })
}
