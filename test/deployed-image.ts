import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const repository = fileURLToPath(new URL('..', import.meta.url))
const dockerfile = join(repository, 'scripts/deploy/Dockerfile')

/** What is in the image, and what it says of itself. */
export interface DeployedImage {
  /** What /app is. */
  folder: string
  healthCheck: string[]
  remove(): void
}

/** Makes /app of the image in a temporary folder, by the steps of the Dockerfile; what needs the base image is left out. */
export async function makeImage(): Promise<DeployedImage> {
  const workspace = mkdtempSync(join(tmpdir(), 'gatewayworker-image-'))
  const [build, folder] = [join(workspace, 'build'), join(workspace, 'app')]
  const [buildStage = [], lastStage = []] = readStages()
  cpSync(repository, build, { filter: isInContext, recursive: true })
  for (const command of argumentsOf(buildStage, 'RUN'))
    await promisify(execFile)('sh', ['-ec', command], { cwd: build, env: { ...process.env, NODE_ENV: undefined } })
  mkdirSync(folder)
  for (const copy of argumentsOf(lastStage, 'COPY')) {
    const [, from, to] = /^--from=build \/app\/(\S+) \.\/(\S*)$/.exec(copy)!
    cpSync(join(build, from!), join(folder, to || from!), { recursive: true, verbatimSymlinks: true })
  }
  return {
    folder,
    healthCheck: JSON.parse(/CMD (.*)/.exec(argumentsOf(lastStage, 'HEALTHCHECK')[0]!)![1]!),
    remove: () => rmSync(workspace, { force: true, recursive: true }),
  }
}

/** The instructions of each stage. */
function readStages(): string[][] {
  const text = readFileSync(dockerfile, 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', '')
  return text.split(/^(?=FROM )/m).map((stage) => stage.split('\n'))
}

function argumentsOf(stage: string[], instruction: string): string[] {
  return stage.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1))
}

/** Whether the build gets a file of the repository, by the patterns of Dockerfile.dockerignore. */
function isInContext(path: string): boolean {
  return !ignored.some((pattern) => pattern.test(relative(repository, path)))
}

const ignored = readFileSync(`${dockerfile}.dockerignore`, 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((pattern) => {
    const expression = pattern
      .replaceAll('.', '\\.')
      .replace(/^\*\*\//, '(.*/)?')
      .replaceAll(/(?<!\.)\*/g, '[^/]*')
    return new RegExp(`^${expression}$`)
  })
