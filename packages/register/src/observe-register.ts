import { type Credentials, isPlainObject } from '@gatewayworker/protocol'
import type { Announcement, RegisterDescription } from './describe-register.ts'
import { type RegisterMessage, readAddresses } from './lines.ts'
import { RegisterConnection } from './register-connection.ts'

/** What became of one attempt to be let in by a register and to hear its list. */
export type RegisterObservation =
  /** The list, and what the register says of itself; PHP's says nothing. */
  | { state: 'accepted'; addresses: string[]; description?: RegisterDescription & { clockOffsetMs: number } }
  /** It could not be reached, has not let us in, or does not speak as a register does. */
  | { state: 'failed'; error: Error }
  /** It took the connection and did not answer in time. */
  | { state: 'silent' }

/** Asks a register, "host:port", for its list of gateways and for what it says of itself, once; never rejects. */
export function observeRegister(
  address: string,
  { credentials, timeoutMs }: { credentials: Credentials; timeoutMs: number },
): Promise<RegisterObservation> {
  return new Promise((resolve) => {
    const askedAt = Date.now()
    let description: (RegisterDescription & { clockOffsetMs: number }) | undefined
    const finish = (observation: RegisterObservation): void => {
      clearTimeout(timer)
      connection.close()
      resolve(observation)
    }
    const connection = new RegisterConnection({
      ...credentials,
      address,
      greeting: { event: 'worker_connect', describe: true },
      onAway() {},
      onFailure: (error) => finish({ state: 'failed', error }),
      // The description comes first.
      onMessage(message) {
        if (message.event === 'register_description') description = readDescription(message, askedAt)
        if (message.event !== 'broadcast_addresses') return
        finish({ state: 'accepted', addresses: readAddresses(message), description })
      },
    })
    const timer = setTimeout(() => finish({ state: 'silent' }), timeoutMs)
  })
}

function readDescription({ announcements, time, version }: RegisterMessage, askedAt: number) {
  if (typeof time !== 'number' || !Array.isArray(announcements)) return undefined
  return {
    announcements: announcements.filter(isAnnouncement),
    clockOffsetMs: time - (askedAt + Date.now()) / 2,
    time,
    version: String(version),
  }
}

function isAnnouncement(value: unknown): value is Announcement {
  return isPlainObject(value) && typeof value.address === 'string' && typeof value.from === 'string'
}
