import { defineConfig } from '@playwright/test';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  outputDir: 'results',
  forbidOnly: true,
  retries: 0,
  workers: Number(process.env.JETON_CONSOLE_WORKERS ?? 2),
  timeout: 45_000,
  expect: { timeout: 7_000 },
  reporter: [['list'], ['./support/count.mjs']],
  use: {
    browserName: 'chromium',
    // a clock and words that are the same everywhere
    locale: 'en-GB',
    timezoneId: 'UTC',
    viewport: { width: 1280, height: 800 },
    screenshot: 'only-on-failure',
    launchOptions: { executablePath },
  },
  projects: [
    { name: 'views', testIgnore: 'speed.spec.mjs' },
    // alone, when nothing else takes the processor
    { name: 'speed', testMatch: 'speed.spec.mjs', dependencies: ['views'] },
  ],
});
