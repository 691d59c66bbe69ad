import { connect } from 'node:net'

const TIMEOUT_MS = 2_000

/** Why nobody takes connections at an announced "IPv4:port", as far as can be seen from here, in words; undefined if somebody does. Says nothing there. */
export function probeGateway(address: string): Promise<string | undefined> {
  const [, host, port] = /^([\d.]+):(\d{1,5})$/.exec(address) ?? []
  if (host === undefined || Number(port) > 65535) return Promise.resolve('it is no IPv4 address with a port')
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) }).unref()
    const finish = (problem?: string): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(problem)
    }
    const timer = setTimeout(() => finish(`no answer within ${TIMEOUT_MS} ms`), TIMEOUT_MS).unref()
    socket.once('connect', () => finish())
    socket.once('error', ({ message }) => finish(message))
  })
}
