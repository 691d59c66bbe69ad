/** A process did not start: the message says it to the user, the stack is the child's, or absent where the message says all. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly index: number
  readonly process: string

  constructor(process: string, index: number, message: string, stack: string | undefined) {
    super(message)
    this.index = index
    this.process = process
    this.stack = stack
  }

  /** All that a user is to see of it. */
  describe(): string {
    return `${this.process} #${this.index}: ${this.stack ?? this.message}`
  }
}
