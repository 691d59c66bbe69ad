import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, and mostly wait: when they begin first, others have the cores beside them, and none is left to run alone. */
const SLOW_FILES = [
  'test/chaos.test.ts',
  'test/place.test.ts',
  'supervisor/test/watchdog.test.ts',
  'register/test/discovery.test.ts',
  'test/start-stop.test.ts',
  'test/hosts.test.ts',
  'test/cli.test.ts',
  'test/doctor.test.ts',
  'supervisor/test/processes.test.ts',
  'supervisor/test/hand-over.test.ts',
  'supervisor/test/control.test.ts',
  'test/start-truth.test.ts',
  'supervisor/test/reload.test.ts',
  'test/ready.test.ts',
  'register/test/etcd.test.ts',
]

class SlowFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = SLOW_FILES.findIndex((name) => moduleId.endsWith(name))
      return at < 0 ? SLOW_FILES.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    // For two cores, since many tests wait for processes.
    maxWorkers: 4,
    sequence: { sequencer: SlowFilesFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
