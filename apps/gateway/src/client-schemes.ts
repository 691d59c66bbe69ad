/** What `--listen` may begin with: what clients speak, and whether over TLS. The names are Workerman's, where it has one. */
export const CLIENT_SCHEMES = {
  websocket: { protocol: 'websocket', ssl: false },
  ws: { protocol: 'websocket', ssl: false },
  wss: { protocol: 'websocket', ssl: true },
  text: { protocol: 'text', ssl: false },
  'text+ssl': { protocol: 'text', ssl: true },
  frame: { protocol: 'frame', ssl: false },
  'frame+ssl': { protocol: 'frame', ssl: true },
  tcp: { protocol: 'tcp', ssl: false },
  ssl: { protocol: 'tcp', ssl: true },
} as const

export type ClientScheme = keyof typeof CLIENT_SCHEMES

export const clientSchemes = Object.keys(CLIENT_SCHEMES) as [ClientScheme, ...ClientScheme[]]
