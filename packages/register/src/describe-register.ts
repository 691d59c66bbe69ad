/** A gateway's connection to a register. */
export interface Announcement {
  /** The "IPv4:LAN port" that it announces. */
  address: string
  /** The IP address that it comes from, as the register sees it. */
  from: string
}

/** What a register says of itself to whoever asks with the secret. */
export interface RegisterDescription {
  /** One for each connection of a gateway: more than the addresses, if two gateways announce the same. */
  announcements: Announcement[]
  /** Its clock, in milliseconds since 1970. */
  time: number
  version: string
}
