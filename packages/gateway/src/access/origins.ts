/** `*` stands for any sub-domains at the front of the host, and for any port. */
const PATTERN = /^([a-z][a-z\d+.-]*):\/\/(\*\.)?([^/:*?#@]+|\[[\da-f:]+\])(?::(\d{1,5}|\*))?$/i

/** The pages that may open connections: by scheme, host and port, as browsers say it of them in the header Origin. */
export class OriginList {
  readonly #exact = new Set<string>()
  readonly #patterns: RegExp[] = []

  /** Throws a TypeError that names what is none. */
  constructor(origins: readonly string[]) {
    for (const origin of origins) this.#add(origin)
  }

  /** Whether a page may. Whoever says nothing is no browser, could say anything, and carries nobody's cookies: it may. */
  allows(origin: string | undefined): boolean {
    if (origin === undefined || this.#exact.size + this.#patterns.length === 0) return true
    const said = origin.toLowerCase().replace(/^(http:.*):80$|^(https:.*):443$/, '$1$2')
    return this.#exact.has(said) || this.#patterns.some((pattern) => pattern.test(said))
  }

  #add(origin: string): void {
    if (origin === 'null') {
      this.#exact.add(origin)
      return
    }
    const [, scheme = '', anyHost, host = '', port] = PATTERN.exec(origin) ?? []
    if (scheme === '') {
      throw new TypeError(
        `"${origin}" is no origin such as https://example.com, https://*.example.com or http://localhost:*`,
      )
    }
    if (anyHost === undefined && port !== '*') {
      this.#exact.add(plainOrigin(scheme, host, port))
      return
    }
    const hostPattern = `${anyHost === undefined ? '' : '(?:[\\w-]+\\.)+'}${literally(host.toLowerCase())}`
    const ownPort =
      port === '*' ? '(?::\\d+)?' : literally(plainOrigin(scheme, host, port).slice(`${scheme}://${host}`.length))
    this.#patterns.push(new RegExp(`^${literally(scheme.toLowerCase())}://${hostPattern}${ownPort}$`))
  }
}

/** As a browser says it: in lower case, and without the port that the scheme has anyway. */
function plainOrigin(scheme: string, host: string, port: string | undefined): string {
  const isUsual = port === undefined || { http: '80', https: '443' }[scheme.toLowerCase()] === port
  return `${scheme}://${host}${isUsual ? '' : `:${port}`}`.toLowerCase()
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
