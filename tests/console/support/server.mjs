// Real servers of the program that JETON_PROGRAM names, each on ports and in a folder of its own.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { altered, alteredHeaders } from './planted.mjs';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const PROGRAM = resolve(process.env.JETON_PROGRAM ?? join(ROOT, 'target/debug/jeton'));
/** Times are judged only where the program was built to be fast. */
export const IS_RELEASE = PROGRAM.includes('/release/') || process.env.JETON_RELEASE === '1';

if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is absent: run \`cargo build --bin jeton\`, or set JETON_PROGRAM`);

export const ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('JETON_')));

export async function freePort() {
  for (;;) {
    const port = nextPort++;
    if (await isFree(port)) return port;
  }
}

// Each worker has ports of its own, below those that the system gives to connections: what is free stays so.
let nextPort = 20_000 + 1_000 * (Number(process.env.TEST_PARALLEL_INDEX ?? 0) % 10);

async function isFree(port) {
  const held = createServer();
  const free = await new Promise((done) => {
    held.once('error', () => done(false));
    held.listen(port, '127.0.0.1', () => done(true));
  });
  if (free) await new Promise((done) => held.close(done));
  return free;
}

/** An address of this machine that others reach too. */
export function foreignAddress() {
  const found = Object.values(networkInterfaces()).flat().find((one) => one.family === 'IPv4' && !one.internal);
  if (!found) throw new Error('this machine has no address but loopback: the console cannot be asked for a bearer');
  return found.address;
}

/** What a command prints. 0 and 3 are answers; other exit codes throw. */
export function jeton(parameters, options = {}) {
  const { allow = [0, 3], ...more } = options;
  try {
    return execFileSync(PROGRAM, parameters, { encoding: 'utf8', maxBuffer: 1 << 28, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'], ...more });
  } catch (failed) {
    if (allow.includes(failed.status)) return failed.stdout;
    throw new Error(`jeton ${parameters.join(' ')}: ${failed.stderr || failed.message}`);
  }
}

export const jetonJson = (parameters, options) => JSON.parse(jeton([...parameters, '--format', 'json'], options));

/** Status, headers and text of an answer; the certificate is not judged. */
export function ask(url, { method = 'GET', headers = {}, body } = {}) {
  const { request } = url.startsWith('https:') ? https : http;
  return new Promise((done, failed) => {
    const question = request(url, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', failed);
      answer.on('end', () => {
        const sent = Buffer.concat(parts);
        const after = answer.statusCode === 200 && !answer.headers['content-encoding'] ? altered(url, sent.toString('utf8')) : null;
        const bytes = after === null ? sent : Buffer.from(after);
        done({ status: answer.statusCode, headers: alteredHeaders(answer.headers), bytes, text: bytes.toString('utf8'), json: () => JSON.parse(bytes) });
      });
    });
    question.on('error', failed);
    question.end(body);
  });
}

/** Asks until something is so, and says what was not. */
export async function until(what, isSo, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((done) => setTimeout(done, 40));
  }
}

const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(', ')}]` : JSON.stringify(value));

/** Sections of `jeton.toml` from an object of objects. */
function settingsFile(sections) {
  const { '': top, ...rest } = sections;
  const lines = (section) => Object.entries(section).map(([key, value]) => `${key} = ${toml(value)}`);
  return [...lines(top), ...Object.entries(rest).flatMap(([name, section]) => ['', `[${name}]`, ...lines(section)]), ''].join('\n');
}

export class Server {
  /**
   * Starts one. `fill(folder)` writes `folder/policies`, and whatever else the settings name; `prepare(server)` runs
   * before the start, when commands can be given already.
   */
  static async start({ fill, prepare, settings = {}, admin = {}, adminAddress = '127.0.0.1' }) {
    const server = new Server();
    server.folder = await mkdtemp(join(tmpdir(), 'jeton-console-'));
    server.policies = join(server.folder, 'policies');
    const [port, adminPort] = [await freePort(), await freePort()];
    server.issuer = `http://127.0.0.1:${port}`;
    const secure = admin.tls ? 'https' : 'http';
    server.console = `${secure}://${adminAddress}:${adminPort}/console/`;
    server.probe = `${server.issuer}/readyz`;
    server.log = join(server.folder, 'jeton.log');
    await fill(server.folder, server);
    const { tls, ...adminSettings } = admin;
    await writeFile(join(server.folder, 'jeton.toml'), settingsFile({
      '': { issuer: server.issuer },
      server: { listen: `127.0.0.1:${port}` },
      admin: { listen: `${adminAddress}:${adminPort}`, ...adminSettings },
      ...(tls ? { 'admin.tls': tls } : {}),
      keys: { dir: 'keys', algorithm: 'EdDSA' },
      policies: { dir: 'policies', poll: '1s', ...settings.policies },
      log: { format: 'json', level: 'debug', ...settings.log },
      ...Object.fromEntries(Object.entries(settings).filter(([name]) => !['policies', 'log'].includes(name))),
    }));
    await prepare?.(server);
    await server.run();
    return server;
  }

  /** Starts it again, or for the first time. */
  async run() {
    const log = await open(this.log, 'a');
    this.process = spawn(PROGRAM, ['serve'], { cwd: this.folder, env: ENVIRONMENT, stdio: ['ignore', log.fd, log.fd] });
    const ended = new Promise((done) => this.process.once('exit', done));
    this.ended = ended;
    await log.close();
    await until(`${this.probe} answers`, async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.logged()}`);
      return ask(this.probe).then((answer) => answer.status === 200, () => false);
    }, 60);
  }

  logged() {
    return readFileSync(this.log, 'utf8');
  }

  /** Runs a command in this server's folder. */
  jeton(parameters, options) {
    return jeton(parameters, { cwd: this.folder, ...options });
  }

  json(parameters, options) {
    return jetonJson(parameters, { cwd: this.folder, ...options });
  }

  /** An answer of the console's own data. */
  async api(path, body, headers = {}) {
    const answer = await ask(`${this.console}api/${path}`, body === undefined
      ? { headers }
      : { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.json();
  }

  /** A token as a client gets it. */
  async token(client, secret, resource) {
    const credentials = [client, secret].map(encodeURIComponent).join(':');
    const answer = await ask(`${this.issuer}/oauth2/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(resource ? { resource } : {}) }).toString(),
    });
    if (answer.status !== 200) throw new Error(`no token for ${client}: ${answer.status} ${answer.text}`);
    return answer.json().access_token;
  }

  async halt(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(signal);
      const late = setTimeout(() => this.process.kill('SIGKILL'), 15000);
      await this.ended;
      clearTimeout(late);
    }
  }

  async stop() {
    await this.halt();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The folder `policies` as the source tree has it. */
export async function samplePolicies(folder, name = 'policies') {
  await mkdir(join(folder, name), { recursive: true });
  await cp(join(ROOT, 'policies'), join(folder, name), { recursive: true });
}
