/** An error whose message alone tells the user what to change; it is shown as it is, without a stack. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}
