/** The exit code when there is no cluster to ask, as of service managers' `status`. */
export const NOT_RUNNING_EXIT_CODE = 3

/** The exit code of `start -d`, `restart -d` and `status` when the cluster runs, but not all of it is ready and linked. */
export const NOT_LINKED_EXIT_CODE = 4
