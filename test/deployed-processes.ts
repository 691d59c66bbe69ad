import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'

/** One container as a file in scripts/deploy describes it. */
export interface DeployedProcess {
  command: string[]
  env: Record<string, string>
  /** How long it has from SIGTERM to SIGKILL, in seconds. */
  graceS: number
  healthCheck: string[]
  name: string
}

// biome-ignore lint/suspicious/noExplicitAny: what is read has been checked by scripts/deploy/lint.mjs
type Yaml = any

const deploy = fileURLToPath(new URL('../scripts/deploy/', import.meta.url))

/** The services of compose.yaml, with these variables in .env. */
export function readCompose(variables: Record<string, string>): DeployedProcess[] {
  const text = readFileSync(`${deploy}compose.yaml`, 'utf8').replaceAll(
    /\$\{(\w+)(?::([?-])([^}]*))?\}/g,
    (_, name: string, kind: string, rest: string) => {
      if (variables[name] === undefined && kind === '?') throw new Error(`${name} is missing: ${rest}`)
      return variables[name] ?? rest
    },
  )
  const { services } = parse(text, { merge: true })
  return Object.entries<Yaml>(services).map(
    ([name, { command, environment, healthcheck, stop_grace_period, volumes }]) => ({
      command: command.map((word: string) => mounted(word, volumes)),
      env: environment,
      graceS: Number.parseInt(stop_grace_period, 10),
      healthCheck: healthcheck.test.slice(1),
      name,
    }),
  )
}

/** All documents of the manifests. */
export function readManifests(): Yaml[] {
  return readdirSync(`${deploy}kubernetes`).flatMap((name) =>
    parseAllDocuments(readFileSync(`${deploy}kubernetes/${name}`, 'utf8')).map((document) => document.toJS()),
  )
}

/** The containers of the manifests, for pods on 127.0.0.1. */
export function readPods(manifests: readonly Yaml[]): DeployedProcess[] {
  function read({ value, valueFrom: { fieldRef, secretKeyRef } = {} as Yaml }: Yaml): string {
    if (fieldRef?.fieldPath === 'status.podIP') return '127.0.0.1'
    if (secretKeyRef === undefined) return value
    const secret = manifests.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === secretKeyRef.name)
    return secret.stringData[secretKeyRef.key]
  }

  return manifests
    .filter(({ kind }) => kind === 'Deployment')
    .map(({ spec: { template } }) => {
      const [{ args, env, lifecycle, name, readinessProbe }] = template.spec.containers
      const preStopS = Number(lifecycle?.preStop.exec.command[1] ?? 0)
      return {
        command: args,
        env: Object.fromEntries(env.map((variable: Yaml) => [variable.name, read(variable)])),
        graceS: template.spec.terminationGracePeriodSeconds - preStopS,
        healthCheck: readinessProbe.exec.command,
        name,
      }
    })
}

/** A path in the container as one of this host, where a volume is mounted on it. */
function mounted(word: string, volumes: string[] = []): string {
  for (const volume of volumes) {
    const [source, target] = volume.split(':')
    if (word.includes(`=${target}/`)) return word.replace(target!, fileURLToPath(new URL(source!, `file://${deploy}`)))
  }
  return word
}
