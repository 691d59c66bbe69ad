/** That a cluster runs, or does not, or cannot, is why a command is not done; the message alone tells the user. */
export class ClusterError extends Error {
  /** Of the command. */
  readonly exitCode: number
  override readonly name = 'ClusterError'

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
