import { type BusinessWorker, type EventsMistakes, findMistakes } from '@gatewayworker/businessworker'
import { examineCluster } from '@gatewayworker/doctor'
import {
  type credentialOptions,
  type Examination,
  type ExamineContext,
  type Finding,
  joinExaminations,
  type OptionValues,
  problem,
  readCredentials,
} from '@gatewayworker/supervisor'

/** The options that are looked at. */
interface WorkerOptions extends OptionValues<typeof credentialOptions> {
  events: string
  'register-address': readonly string[]
}

/** What would go wrong at a start of workers with these options; loads their Events, which runs what stands outside of handlers. */
export async function examineOptions(
  options: WorkerOptions,
  { loadModule, startsHere }: ExamineContext,
  provided: Record<string, string>,
): Promise<Examination> {
  const elsewhere = options['register-address'].filter((address) => !startsHere(address))
  const [cluster, findings] = await Promise.all([
    examineCluster({ credentials: readCredentials(options), isComplete: false, registers: elsewhere }),
    loadModule(options.events, provided).then(
      (module) => describe(options.events, findMistakes(module as object)),
      (error: Error) => [cannotLoad(options.events, error)],
    ),
  ])
  return joinExaminations([cluster, { checks: [options.events], findings }])
}

/** What a worker finds that runs: it dials all gateways that the registers tell, whether it is linked to them or not. */
export async function examineRunning(
  worker: BusinessWorker,
  events: object,
  options: WorkerOptions,
): Promise<Examination> {
  const cluster = await examineCluster({
    credentials: readCredentials(options),
    isComplete: true,
    registers: options['register-address'],
  })
  const links = cluster.findings.length > 0 ? [] : worker.problems().map(notLinked)
  const findings = [...links, ...describe(options.events, findMistakes(events))]
  return joinExaminations([cluster, { checks: ['links to the gateways', options.events], findings }])
}

function describe(file: string, { handlers, strangers }: EventsMistakes): Finding[] {
  const fix =
    'Names are case-sensitive: onWorkerStart, onConnect, onWebSocketConnect, onMessage, onClose, onWorkerStop.'
  const misspelt = strangers.map(({ meant, name }) => {
    const meaning = meant === undefined ? '' : `; ${meant} is`
    return problem(
      'GW-EVENTS-NAME',
      `${file} exports ${name}, which is called for no event${meaning}.`,
      meant === undefined ? fix : `Rename it to ${meant}. ${fix}`,
    )
  })
  if (handlers.length > 0) return misspelt
  return [
    ...misspelt,
    problem('GW-EVENTS-EMPTY', `${file} exports no handler at all.`, `Export at least one function. ${fix}`),
  ]
}

function cannotLoad(file: string, { message, name, stack }: Error): Finding {
  const why = name === 'UsageError' ? message : `${stack?.split('\n').slice(0, 2).join(' ') ?? message}`
  return problem(
    'GW-EVENTS-FAILS',
    `${file} cannot be loaded: ${why}`,
    'Correct it there; what stands outside of handlers runs at every start.',
  )
}

function notLinked(what: string): Finding {
  return problem(
    'GW-NOT-LINKED',
    `The gateways answer, but ${what}.`,
    'If it is not linked again within seconds, its log and that of the gateway say why.',
  )
}
