// A jeton of its own, tokens of it, and requests that no client library touches.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { tmpdir } from "node:os";
import tls from "node:tls";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const PROGRAM = process.env.JETON ?? join(TARGET, "debug/jeton");

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** Waits until it holds, and fails after some seconds. */
export async function until(what, holds, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await pause(20);
  }
}

/** The certificates of the tests, and the authority that signed them. */
export const TLS = join(ROOT, "tests/fixtures/tls");

/** What a server answers: status and body. */
async function fetched(url, { body, ...options } = {}) {
  const request = (url.startsWith("https:") ? https : http).request(url, { ca: CA, agent: false, ...options });
  request.end(body);
  const [answer] = await once(request, "response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, text };
}

const CA = readFileSync(join(TLS, "ca.pem"));

/** A jeton with the policies of the sample, or of `policies`; what it was given ends with it. */
export class Jeton {
  constructor(port, scheme, settings) {
    this.folder = mkdtempSync(join(tmpdir(), "jeton-node-"));
    this.policies = join(this.folder, "policies");
    this.issuer = `${scheme}://127.0.0.1:${port}`;
    mkdirSync(join(this.folder, "keys"));
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("JETON__"));
    this.environment = {
      ...Object.fromEntries(inherited),
      JETON__SERVER__LISTEN: `127.0.0.1:${port}`,
      JETON__ADMIN__LISTEN: "",
      JETON__ISSUER: this.issuer,
      JETON__KEYS__DIR: join(this.folder, "keys"),
      JETON__POLICIES__DIR: this.policies,
      ...settings,
    };
  }

  static async start({ scheme = "http", edits = [], ...settings } = {}) {
    const jeton = new Jeton(await freePort(), scheme, settings);
    cpSync(join(ROOT, "policies"), jeton.policies, { recursive: true });
    for (const edit of edits) jeton.edit(...edit);
    await jeton.serve();
    return jeton;
  }

  /** Changes a file of its policies. */
  edit(name, before, after) {
    const file = join(this.policies, name);
    const text = readFileSync(file, "utf8");
    if (!text.includes(before)) throw new Error(`${name} does not hold ${before}`);
    writeFileSync(file, text.replace(before, after));
  }

  async serve() {
    this.said = "";
    this.process = spawn(PROGRAM, ["serve"], { cwd: ROOT, env: this.environment });
    for (const output of [this.process.stdout, this.process.stderr]) output.on("data", (text) => (this.said += text));
    const answers = async () => {
      if (this.process.exitCode !== null) throw new Error(`jeton ended: ${this.said}`);
      return fetched(`${this.issuer}/readyz`).then(({ status }) => status === 200, () => false);
    };
    await until("jeton answers", answers);
  }

  /** Ends it; its folder stays. */
  async stop() {
    if (this.process.exitCode !== null) return;
    this.process.kill("SIGTERM");
    await once(this.process, "exit");
  }

  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  async token(client, secret = `demo-secret-of-${client}`, resource = "https://orders.example.com") {
    const answer = await fetched(`${this.issuer}/oauth2/token`, {
      method: "POST",
      auth: `${client}:${secret}`,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: "client_credentials", resource }).toString(),
    });
    const { access_token: token, ...error } = JSON.parse(answer.text);
    if (!token) throw new Error(JSON.stringify(error));
    return token;
  }
}

/**
 * What a server answers to a request with this target and these header lines, byte by byte; over TLS where `secured` says
 * with which certificate.
 */
export async function ask(port, target, { method = "GET", lines = [], secured } = {}) {
  const socket = secured
    ? tls.connect({ port, host: "127.0.0.1", ca: CA, checkServerIdentity: () => undefined, ...secured })
    : connect(port, "127.0.0.1");
  const head = [`${method} ${target} HTTP/1.1`, "Host: orders.example.com", "Connection: close", ...lines];
  socket.end(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  let answer = "";
  for await (const chunk of socket) answer += chunk.toString("latin1");
  const [top, body = ""] = answer.split(/\r\n\r\n(.*)/s);
  const [status, ...fields] = top.split("\r\n");
  const headers = Object.fromEntries(fields.map((field) => field.split(/: (.*)/s)).map(([name, value]) => [name.toLowerCase(), value]));
  return { status: Number(status.split(" ")[1]), headers, body };
}
