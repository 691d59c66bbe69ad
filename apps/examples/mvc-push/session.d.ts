// What the site keeps in a session; only the type checker reads this file.
import 'express-session'

declare module 'express-session' {
  interface SessionData {
    /** `id` is new at every login, so that a logout ends the connections of this browser and no others of the same user. */
    login: { id: string; name: string }
  }
}
