import { EchoLoad } from './echo-load.mjs'
import { exchange } from './exchange.mjs'

/** What a session holds besides the count: some 5 KB, as a site that keeps its user in there has. */
const FILL = { type: 'fill', items: 50 }

/** Gives every connection a session, then echoes messages whose handler reads it, or changes one of its keys. */
export class SessionLoad extends EchoLoad {
  #connections

  constructor(connections, settings) {
    super(connections, settings, settings.type)
    this.#connections = connections
  }

  async start() {
    await exchange(this.#connections, JSON.stringify(FILL), JSON.stringify({ type: 'filled' }))
    super.start()
  }
}
