import type { DeadLetterRow, DeadLettersQuery } from '../define-app.ts'
import type { ProcessGroup } from '../process-group.ts'

/** The dead letters of a whole cluster, and what came of those that were to be delivered again. */
export interface FoundDeadLetters {
  letters: DeadLetterRow[]
  /** Message id → why it could not be delivered again. */
  refused: Record<string, string>
  replayed: string[]
  unanswered: string[]
}

/** Asks the processes that have clients; those of a group share a file, and each delivers what was its own clients'. */
export async function findDeadLetters(
  groups: readonly ProcessGroup[],
  query: DeadLettersQuery,
): Promise<FoundDeadLetters> {
  const letters = new Map<string, DeadLetterRow>()
  const refused: Record<string, string> = {}
  const replayed = new Set<string>()
  const unanswered: string[] = []
  const askable = groups
    .flatMap(({ processes }) => processes)
    .filter(({ current }) => current?.hasClients && current.canAnswer)
  for (const { current, index, name } of askable) {
    const found = await current!.ask('deadLetters', query)
    if (found === undefined) unanswered.push(`${name} #${index}`)
    for (const letter of found?.letters ?? []) letters.set(letter.messageId, letter)
    for (const messageId of found?.replayed ?? []) replayed.add(messageId)
    Object.assign(refused, found?.refused)
  }
  for (const messageId of replayed) {
    letters.delete(messageId)
    delete refused[messageId]
  }
  for (const messageId of query.replay) {
    if (!replayed.has(messageId)) refused[messageId] ??= 'there is no dead letter with this message id'
  }
  const byTime = (one: DeadLetterRow, other: DeadLetterRow) => (one.time < other.time ? -1 : 1)
  return { letters: [...letters.values()].sort(byTime), refused, replayed: [...replayed], unanswered }
}
