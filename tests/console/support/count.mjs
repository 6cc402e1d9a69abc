// The closing line: how many tests passed. A test that did not run fails the run.

export default class Count {
  passed = new Map();
  missing = [];

  onTestEnd(test, result) {
    const file = test.location.file.replace(/.*\//, '').replace('.spec.mjs', '');
    if (result.status === 'passed') this.passed.set(file, (this.passed.get(file) ?? 0) + 1);
    if (result.status === 'skipped') this.missing.push(test.title);
  }

  onEnd() {
    const all = [...this.passed.values()].reduce((sum, count) => sum + count, 0);
    process.stdout.write(`console: ${all} tests passed: ${[...this.passed].map(([file, count]) => `${file} ${count}`).join(', ')}\n`);
    if (!this.missing.length) return undefined;
    process.stdout.write(`error: these did not run: ${this.missing.join('; ')}\n`);
    return { status: 'failed' };
  }
}
