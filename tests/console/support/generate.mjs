// node support/generate.mjs big|hostile FOLDER: writes the folder, to look at it by hand.
import { execFileSync } from 'node:child_process';
import { writeBig, writeHostile } from './policies.mjs';

const [what, folder] = process.argv.slice(2);
if (!folder || !['big', 'hostile'].includes(what)) {
  process.stderr.write('usage: node support/generate.mjs big|hostile FOLDER\n');
  process.exit(2);
}
if (what === 'big') await writeBig(folder);
else await writeHostile(folder, execFileSync('sh', ['-c', 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout'], { encoding: 'utf8' }));
