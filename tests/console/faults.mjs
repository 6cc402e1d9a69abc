// Whether the tests can fail: plants each fault of support/planted.mjs, and wants the tests that it names to fail.
//
//     npm run faults                all of them, which takes some minutes
//     npm run faults -- NAME...     these alone

import { spawnSync } from 'node:child_process';
import { FAULTS } from './support/planted.mjs';

const chosen = process.argv.slice(2);
const unfound = [];
for (const name of chosen.length ? chosen : Object.keys(FAULTS)) {
  const fault = FAULTS[name];
  if (!fault) {
    process.stderr.write(`error: there is no fault \`${name}\`\n`);
    process.exit(2);
  }
  const words = ['playwright', 'test', `${fault.file}.spec.mjs`, '--no-deps', '--reporter=json', '--max-failures=1', '--grep', fault.grep];
  const { stdout, stderr } = spawnSync('npx', words, { encoding: 'utf8', env: { ...process.env, JETON_CONSOLE_FAULT: name }, maxBuffer: 1 << 28 });
  const { stats } = JSON.parse(stdout.slice(stdout.indexOf('{')));
  // one that is not planted makes no test fail for its own sake
  const isPlanted = !`${stdout}${stderr}`.includes('changes nothing in');
  const found = isPlanted && stats.unexpected > 0;
  process.stdout.write(`${found ? 'found' : 'NOT FOUND'}: ${name}${isPlanted ? '' : ' (what it replaces is not there)'}\n`);
  if (!found) unfound.push(name);
}
if (unfound.length) {
  process.stderr.write(`error: no test fails with: ${unfound.join(', ')}\n`);
  process.exit(1);
}
