import type { DeadLetter, GatewayServer } from '@gatewayworker/gateway'
import type { DeadLettersAnswer, DeadLettersQuery } from '@gatewayworker/supervisor'

/** How much of a payload the table shows. */
const SHOWN_LENGTH = 60

/** What a gateway answers `gatewayworker dead-letters`. */
export function answerDeadLetters(server: GatewayServer, { replay }: DeadLettersQuery): DeadLettersAnswer {
  const answer: DeadLettersAnswer = { letters: [], refused: {}, replayed: [] }
  for (const letter of server.deadLetters()) {
    const { messageId } = letter
    if (replay.includes('all') || replay.includes(messageId)) {
      try {
        server.replay(letter)
        answer.replayed.push(messageId)
        continue
      } catch (error) {
        answer.refused[messageId] = (error as Error).message
      }
    }
    answer.letters.push({ ...letter, payload: describePayload(letter) })
  }
  return answer
}

function describePayload({ base64, text, value }: DeadLetter): string {
  const payload = text ?? base64 ?? JSON.stringify(value ?? '')
  return payload.length <= SHOWN_LENGTH ? payload : `${payload.slice(0, SHOWN_LENGTH)}…`
}
