import { type ClusterMember, checkNames, groupSettings } from '../cluster-members.ts'
import type { Program } from '../command-line.ts'
import { ClusterError } from '../control/cluster-error.ts'
import type { ControlClient } from '../control/control-client.ts'
import { type ClusterPlace, findMaster } from '../control/find-master.ts'
import { RunFolder } from '../control/run-folder.ts'
import type { OptionTable, OptionValues } from '../define-app.ts'
import { type PlacedExamination, problem } from '../doctor/examination.ts'
import { examineFolders } from '../doctor/examine-folders.ts'
import { examineHost } from '../doctor/examine-host.ts'
import { examineMembers } from '../doctor/examine-members.ts'
import { createReport, formatReport, isHealthy } from '../doctor/format-report.ts'
import { flag } from '../option-types.ts'
import { printableJson } from '../printable.ts'
import { commonOptions, readFlags, readOptions } from '../read-options.ts'
import { exitProcess } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'
import type { Call, ClusterDefinition } from './cluster-program.ts'
import { findConfig } from './find-config.ts'
import { Screen } from './screen.ts'
import { placeOptions } from './start.ts'

const HERE = 'this host'

const ownOptions = {
  json: { default: false, describe: 'Print JSON', flagOnly: true, type: flag },
} satisfies OptionTable

type DoctorOptions = OptionValues<typeof ownOptions & typeof placeOptions>

/** What is to be examined, as far as it could be read. */
interface Patient {
  /** What is wrong with the config file. */
  mistake?: string
  members: readonly ClusterMember[]
  values: DoctorOptions
}

/**
 * Proves that the cluster works: what a start would meet where it does not run, else what each of its processes finds when it tries to
 * reach the others. Prints what is wrong and how to mend it; exit code 1 if something is.
 */
export async function doctor(call: Call): Promise<void> {
  const configFile = findConfig(call)
  const definition = call.program.define(configFile)
  const patient = await readPatient(call, definition, configFile)
  if (patient === undefined) return
  const { json, 'run-dir': runDir } = patient.values
  const runFolder = new RunFolder(runDir ?? definition.runFolder)
  const further = call.program.doctor?.examine(patient.values)
  const [cluster, looks] = await Promise.all([
    examineCluster(
      patient,
      { configFile: runDir === undefined ? configFile : undefined, runFolder },
      {
        isAskedFor: further === undefined,
        isNamed: runDir !== undefined && configFile === undefined,
      },
    ),
    further,
  ])
  const report = createReport([...cluster, ...(looks === undefined ? [] : [{ where: HERE, ...looks }])])
  const screen = new Screen(false)
  screen.show(json ? printableJson(report) : formatReport(report, screen.columns))
  exitProcess(isHealthy(report) ? 0 : 1)
}

async function examineCluster(
  { members, mistake, values }: Patient,
  place: ClusterPlace,
  { isAskedFor, isNamed }: { isAskedFor: boolean; isNamed: boolean },
): Promise<PlacedExamination[]> {
  const { runFolder } = place
  const client = await connectMaster(place)
  if (client === 'silent') return [silentMaster(runFolder)]
  const config = mistake === undefined ? [] : [configMistake(mistake, client !== undefined)]
  if (client !== undefined) {
    const examinations = await client.request('examine', undefined)
    client.close()
    return [describeHost(examinations.length), ...config, ...examinations]
  }
  const processes = members.reduce((sum, member) => sum + groupSettings(member).count, 0)
  const host = describeHost(processes)
  if (isNamed) return [host, nothingRuns(runFolder)]
  if (!isAskedFor) return []
  const folders = { where: HERE, ...examineFolders(runFolder, values['log-file'] ?? runFolder.logFile) }
  return [host, ...config, folders, ...(await examineMembers(members))]
}

function describeHost(processes: number): PlacedExamination {
  return { where: HERE, ...examineHost(processes + 1) }
}

/** Undefined when --help has been shown; a UsageError when flags or environment are wrong, while a mistake in the config file is a finding. */
async function readPatient(
  call: Call,
  definition: ClusterDefinition,
  configFile: string | undefined,
): Promise<Patient | undefined> {
  const program = describeDoctor(call, definition, configFile)
  try {
    const read = await readOptions(program, call)
    if ('help' in read) {
      process.stdout.write(`${read.help}\n`)
      return undefined
    }
    const values = read.values as DoctorOptions
    const { members } = definition.load(read)
    checkNames(members)
    return { members, values }
  } catch (error) {
    if (configFile === undefined || !(error instanceof UsageError)) throw error
    const flags = await readFlags({ ...program, options: { ...program.options, ...commonOptions } }, call)
    return { members: [], mistake: error.message, values: ('values' in flags ? flags.values : {}) as DoctorOptions }
  }
}

function describeDoctor(
  { program }: Call,
  { options, provide, sections }: ClusterDefinition,
  configFile: string | undefined,
): Program {
  return {
    command: `${program.command} doctor`,
    configFile,
    describe: 'Finds out whether the cluster works, or would if it were started, and says what to mend.',
    npmScript: program.npmScript,
    options: { ...options, ...placeOptions, ...ownOptions, ...program.doctor?.options },
    provide,
    sections,
    usage: `${program.command} doctor [options]`,
  }
}

async function connectMaster(place: ClusterPlace): Promise<ControlClient | 'silent' | undefined> {
  try {
    return await findMaster(place)
  } catch (error) {
    if (error instanceof ClusterError) return 'silent'
    throw error
  }
}

function silentMaster(runFolder: RunFolder): PlacedExamination {
  const what = `The master of the cluster, pid ${runFolder.readPid()}, does not answer.`
  const fix = 'It was stopped by a signal (`kill -CONT PID`), or has no CPU left to answer with.'
  return { checks: ['master'], findings: [problem('GW-MASTER-SILENT', what, fix)], where: HERE }
}

function configMistake(mistake: string, isRunning: boolean): PlacedExamination {
  const when = isRunning ? 'What runs is not touched by it, but a restart would fail' : 'A start would fail'
  return {
    checks: ['config file'],
    findings: [problem('GW-CONFIG-WRONG', `${mistake}.`, `${when}: correct it there.`)],
    where: HERE,
  }
}

function nothingRuns({ path }: RunFolder): PlacedExamination {
  const fix = 'Name the folder that it was started with (--run-dir or GW_RUN_DIR), as the user who started it.'
  return {
    checks: ['run folder'],
    findings: [problem('GW-NOT-RUNNING', `Nothing runs with the run folder ${path}.`, fix)],
    where: HERE,
  }
}
