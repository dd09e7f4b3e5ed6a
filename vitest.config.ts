import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 90_000,
    hookTimeout: 60_000,
    // Two cores, and the third ring starts real servers: more workers only make each other slow.
    maxWorkers: 2,
    setupFiles: ['test/setup.ts'],
  },
});
