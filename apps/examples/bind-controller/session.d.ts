// What the site keeps in a session; only the type checker reads this file.
import 'express-session'

declare module 'express-session' {
  interface SessionData {
    userId: number
  }
}
