export {
  parseRegisterAddress,
  RegisterAnnouncer,
  type RegisterClientOptions,
  RegisterWatcher,
} from './register-client.ts'
export { RegisterServer, type RegisterServerOptions } from './register-server.ts'
