import { type Credentials, visitGateway } from '@gatewayworker/protocol'
import { watchGateways } from '@gatewayworker/register'

export interface ReachabilityOptions {
  credentials: Credentials
  /** What the gateway tells whoever links. */
  instance(): string
  /** The announced "IPv4:port". */
  lanAddress: string
  registerAddresses: readonly string[]
}

/** How long registers, and the way to its own address, may take: whoever asks waits a second. */
const TIMEOUT_MS = 800

/** Tries whether others find and reach a gateway, as they would do it: asks the registers for it, and dials the address that they tell. */
export class Reachability {
  readonly #options: ReachabilityOptions
  #wasListed = false

  constructor(options: ReachabilityOptions) {
    this.#options = options
  }

  /** What is wrong, in words; none when it is found and reached. */
  async problems(): Promise<string[]> {
    const problems = await Promise.all([this.#look(), this.#dial()])
    return problems.filter((problem) => problem !== undefined)
  }

  /**
   * Undefined when a register tells the address. Registers that are away are a problem only until it has been told once: their end must not
   * take every gateway out of service at the same time.
   */
  #look(): Promise<string | undefined> {
    const { credentials, lanAddress, registerAddresses } = this.#options
    return new Promise((resolve) => {
      const finish = (problem?: string): void => {
        clearTimeout(timer)
        watcher.close()
        resolve(problem)
      }
      const watcher = watchGateways({ ...credentials, registerAddresses }, (addresses) => {
        if (!addresses.includes(lanAddress)) return
        this.#wasListed = true
        finish()
      })
      const timer = setTimeout(() => {
        if (watcher.knows(lanAddress) === false) finish(`no register knows ${lanAddress}`)
        else if (this.#wasListed) finish()
        else finish(['no register answers', ...watcher.problems].join(': '))
      }, TIMEOUT_MS)
    })
  }

  /** Undefined when this very gateway answers at the address. */
  async #dial(): Promise<string | undefined> {
    const { credentials, instance, lanAddress } = this.#options
    try {
      const peer = await visitGateway(
        { credentials, gateway: lanAddress, timeoutMs: TIMEOUT_MS },
        (_link, name) => name,
      )
      return peer === instance() ? undefined : `another gateway answers at ${lanAddress}: see --lan-ip`
    } catch (error) {
      return `its LAN address cannot be reached: ${(error as Error).message}`
    }
  }
}
