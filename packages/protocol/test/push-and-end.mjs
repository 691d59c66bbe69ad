// A script as a user's backend writes it, run by link-process.test.ts: it sends over a link that does not keep it running, and ends.
import { createInstanceId, Dialer } from '@gatewayworker/protocol'

const [port, ending] = process.argv.slice(2)
const waiting = setInterval(() => {}, 1000)

new Dialer({
  hello: { instance: createInstanceId(), role: { kind: 'client' }, secretKey: '' },
  host: '127.0.0.1',
  onDown: () => {},
  onUp: (link) => {
    clearInterval(waiting)
    // Ending by itself it has more on the way than a kernel takes; exit() has only what the kernel takes at once.
    const size = ending === 'exit' ? 100 : 200_000
    for (let n = 0; n < 50; n += 1) link.send(6, n, 0, '', Buffer.alloc(size))
    if (ending === 'exit') {
      process.on('exit', link.flush)
      process.exit()
    }
    return { onFrame: () => {} }
  },
  persistent: false,
  port: Number(port),
})
