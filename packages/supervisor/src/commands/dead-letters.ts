import type { OptionTable } from '../define-app.ts'
import { flag, list, text } from '../option-types.ts'
import { printableJson } from '../printable.ts'
import { formatDeadLetters } from '../status/format-dead-letters.ts'
import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'
import { Screen } from './screen.ts'

const options = {
  replay: {
    describe: 'Deliver the event with this message id again, or "all"; may be repeated',
    flagOnly: true,
    type: list({ ...text, hint: 'MESSAGE-ID' }),
  },
  json: { default: false, describe: 'Print JSON, payloads included', flagOnly: true, type: flag },
} satisfies OptionTable

const NOT_REPLAYED_EXIT_CODE = 1

/** Lists events that were given up because worker after worker died with them, and delivers them again. */
export async function deadLetters(call: Call): Promise<void> {
  const describe = 'Lists events that were given up because worker after worker died with them.'
  const read = await readClusterCall(call, 'dead-letters', describe, options)
  if (read === undefined) return
  const { json, replay = [] } = read.values
  const client = await connectRunning(read)
  const found = await client.request('deadLetters', { replay })
  client.close()
  const screen = new Screen(false)
  screen.show(json ? printableJson(found) : formatDeadLetters(found, screen.columns))
  if (Object.keys(found.refused).length > 0) process.exitCode = NOT_REPLAYED_EXIT_CODE
}
