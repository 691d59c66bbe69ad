/** What a gateway answers to DESCRIBE, so that whoever dialled it can tell whether it is the right one, and in order. */
export interface GatewayDescription {
  /** The "IPv4:port" that it announces. */
  lanAddress: string
  /** Its clock, in milliseconds since 1970. */
  time: number
  version: string
  /** How many workers are linked to it. */
  workers: number
}
