import { encodeClientFrame, FirstByte } from './load-frame.mjs'

/**
 * Sends `request` on every connection at once and resolves when each has received `reply`, and nothing else; with
 * an echo for both, that is how a load learns that nothing more was on its way to any connection.
 *
 * @returns {Promise<void>}
 */
export function exchange(connections, request, reply) {
  const frame = encodeClientFrame(FirstByte.TEXT, Buffer.from(request))
  const expected = Buffer.from(reply)
  const isAnswered = new Uint8Array(connections.length)
  let missing = connections.length
  return new Promise((resolve) => {
    const handler = {
      onMessage({ index }, bytes, start, end) {
        if (isAnswered[index] || expected.compare(bytes, start, end) !== 0) {
          throw new Error(`Connection ${index}: "${bytes.utf8Slice(start, end)}" came, not one ${reply}.`)
        }
        isAnswered[index] = 1
        if (--missing === 0) resolve()
      },
      onChunkEnd() {},
    }
    for (const connection of connections) {
      connection.handler = handler
      connection.write(frame)
    }
  })
}
