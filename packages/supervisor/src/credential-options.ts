import type { OptionTable, OptionValues } from './define-app.ts'
import { flag, text } from './option-types.ts'
import { UsageError } from './usage-error.ts'

/** What a process shows to the others of its cluster, and wants to be shown by them: options that every kind of process has. */
export const credentialOptions = {
  'allow-legacy': {
    default: false,
    describe: "Let PHP's processes on other hosts in, and be let in by them, with the secret in clear",
    type: flag,
  },
  'secret-key': { default: '', describe: 'What every process of the cluster must know', type: text },
} satisfies OptionTable

/** The credentials among the values of options. */
export function readCredentials(options: OptionValues<typeof credentialOptions>): {
  allowLegacy: boolean
  secretKey: string
} {
  return { allowLegacy: options['allow-legacy'], secretKey: options['secret-key'] }
}

/** For what binds a port for the cluster: makes a UsageError of its refusal to do so. */
export function explainRefusal(error: Error & { advice?: string; code?: string }): never {
  if (error.code === 'PUBLIC_WITHOUT_SECRET') throw new UsageError(`${error.message}. ${error.advice}`)
  throw error
}
