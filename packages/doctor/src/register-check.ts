import type { Credentials } from '@gatewayworker/protocol'
import { observeRegister, type RegisterObservation, watchGateways, withoutCredentials } from '@gatewayworker/register'
import { type Finding, parseAddress, problem } from '@gatewayworker/supervisor'
import { explainPeer } from './explain-peer.ts'
import { isReachable } from './reach.ts'

/** How long a register may take for its list, which it sends at once. */
const ANSWER_TIMEOUT_MS = 2_000

/** How long an etcd may take, from DNS to its list. */
const ETCD_TIMEOUT_MS = 4_000

/** What one register has told, or why it has not. */
export interface RegisterView {
  address: string
  finding?: Finding
  told?: Extract<RegisterObservation, { state: 'accepted' }>
}

/** Hears the list of a register, or of an etcd in place of one, as a worker does. */
export function viewRegister(address: string, credentials: Credentials): Promise<RegisterView> {
  return address.includes('://') ? viewEtcd(address, credentials) : viewOwn(address, credentials)
}

async function viewOwn(address: string, credentials: Credentials): Promise<RegisterView> {
  const reached = await isReachable(parseAddress(address), {
    code: 'GW-REGISTER-UNREACHABLE',
    fix: 'Is it running (`start_register`), does its --listen name this address or 0.0.0.0, does the firewall let this host through? Else correct --register-address.',
    name: 'the register',
  })
  if ('finding' in reached) return { address, finding: reached.finding }
  const observation = await observeRegister(address, { credentials, timeoutMs: ANSWER_TIMEOUT_MS })
  if (observation.state === 'accepted') return { address, told: observation }
  const expected = {
    address,
    elsewhere: (what: string) => wrongPort(address, what),
    name: `The register ${address}`,
  }
  const error = observation.state === 'failed' ? observation.error : undefined
  return { address, finding: await explainPeer(expected, credentials, error) }
}

function viewEtcd(url: string, credentials: Credentials): Promise<RegisterView> {
  const address = withoutCredentials(url)
  return new Promise((resolve) => {
    const finish = (view: RegisterView): void => {
      clearTimeout(timer)
      watcher.close()
      resolve(view)
    }
    const onAddresses = (addresses: string[]): void => finish({ address, told: { addresses, state: 'accepted' } })
    const watcher = watchGateways({ ...credentials, registerAddresses: [url] }, onAddresses)
    const timer = setTimeout(() => {
      const what = [`The etcd ${address} does not tell who is online`, ...watcher.problems].join(': ')
      const fix =
        'Is it running, does it listen at this address and not only at localhost, is it etcd:// or etcds://, are user, password and certificates right?'
      finish({ address, finding: problem('GW-ETCD-FAILS', `${what}.`, fix) })
    }, ETCD_TIMEOUT_MS)
  })
}

function wrongPort(address: string, what: string): Finding {
  const fix =
    "--register-address is what the register's --listen says, port 1236 unless it was changed; not a LAN port (2900 …), not the port for clients (7272)."
  return problem('GW-REGISTER-WRONG-PORT', `${address} is no register: ${what} listens there.`, fix)
}
