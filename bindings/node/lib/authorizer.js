"use strict";

const { fileURLToPath } = require("node:url");
const { STATUS_CODES } = require("node:http");

const { Engine } = native();

/** The native part for this machine. */
function native() {
  const file = `./jeton.${process.platform}-${process.arch}.node`;
  try {
    return require(file);
  } catch (cause) {
    if (cause.code !== "MODULE_NOT_FOUND") throw cause;
    throw new Error(`this package holds no build for ${process.platform}-${process.arch}`, { cause });
  }
}

const isText = (value) => typeof value === "string";
const isPath = (value) => isText(value) || value instanceof URL;
const isCredentials = (value) =>
  typeof value === "function" || (Array.isArray(value) && value.length === 2 && isText(value[0]) && isPath(value[1]));

// name: whether a value fits, and what would
const OPTIONS = {
  issuer: [isText, "a string"],
  api: [isText, "a string"],
  policies: [isPath, "a path"],
  jwks: [isPath, "a path"],
  leeway: [(value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32, "a number of seconds"],
  keep: [isPath, "a path"],
  origin: [isText, "a string"],
  credentials: [isCredentials, "[clientId, secretFile] or a function"],
  caFile: [isPath, "a path"],
  onLog: [(value) => typeof value === "function", "a function"],
};
const REQUIRED = ["issuer", "api"];

/** The options as the native part takes them. */
function checked(options) {
  if (options === null || typeof options !== "object") throw new TypeError("Authorizer takes an object of options");
  const given = {};
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name))
      throw new TypeError(`\`${name}\` is no option: use ${Object.keys(OPTIONS).join(", ")}`);
    if (value === undefined || value === null) continue;
    const [fits, kind] = OPTIONS[name];
    if (!fits(value)) throw new TypeError(`\`${name}\` must be ${kind}`);
    given[name] = path(value);
  }
  for (const name of REQUIRED) if (!(name in given)) throw new TypeError(`\`${name}\` is missing`);
  return given;
}

function path(value) {
  return value instanceof URL ? fileURLToPath(value) : value;
}

/** Gives tokens as the native part asks for them. */
function giver(credentials) {
  return async () => {
    const token = await credentials();
    if (!isText(token)) throw new TypeError("the function `credentials` gave no string");
    return token;
  };
}

function toStderr(level, event, { message, ...fields }) {
  const said = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
  const write = level === "error" ? console.error : level === "warn" ? console.warn : undefined;
  write?.(`jeton: ${message}${said.join("")}`);
}

// for the middlewares
let isAuthorizer;
let log;
let ruleFor;

class Authorizer {
  #engine;
  #onLog;

  constructor(options) {
    const { onLog, leeway = 30, credentials, ...given } = checked(options);
    this.#onLog = onLog ?? toStderr;
    const log = (level, event, fields) => this.#log(level, event, JSON.parse(fields));
    const [clientId, secretFile] = Array.isArray(credentials) ? credentials.map(path) : [];
    const settings = { ...given, leeway, clientId, secretFile, isVerbose: onLog !== undefined };
    this.#engine = new Engine(settings, log, typeof credentials === "function" ? giver(credentials) : undefined);
  }

  decide(method, target, authorization, dpop, certificate) {
    if (!isText(method)) throw new TypeError("`method` must be a string");
    if (!isText(target)) throw new TypeError("`target` must be a string");
    const tokens = headers("authorization", authorization);
    const told = this.#engine.decide(method, target, tokens, headers("dpop", dpop), der("certificate", certificate));
    return isText(told) ? new Decision(told) : told.then((later) => new Decision(later));
  }

  close() {
    this.#engine.close();
  }

  #log(level, event, fields) {
    try {
      this.#onLog(level, event, fields);
    } catch (error) {
      // what is logged must not end the process
      console.error("jeton: onLog failed:", error);
    }
  }

  static {
    isAuthorizer = (value) => typeof value === "object" && value !== null && #engine in value;
    log = (authorizer, level, event, fields) => authorizer.#log(level, event, fields);
    ruleFor = (authorizer, method, path) => authorizer.#engine.ruleFor(method, path);
  }
}

/** The values of all headers of a name as the native part takes them. */
function headers(name, value) {
  if (value === undefined || value === null) return undefined;
  if (isText(value) || (Array.isArray(value) && value.every(isText))) return value;
  throw new TypeError(`\`${name}\` must be a string, an array of strings or undefined`);
}

/** A certificate as the native part takes it. */
function der(name, value) {
  if (value === undefined || value === null) return undefined;
  // each begins as a sequence
  if (value instanceof Uint8Array && value[0] === 0x30) return value;
  throw new TypeError(`\`${name}\` must be DER in a Uint8Array, or undefined`);
}

class Decision {
  constructor(told) {
    const { allowed, status, headers, reason, rule, principal, detail } = JSON.parse(told);
    this.allowed = allowed;
    this.status = status;
    this.headers = freeze(headers);
    this.reason = reason;
    this.rule = rule;
    this.principal = principal && freeze(principal);
    this.detail = detail;
    Object.freeze(this);
  }

  problem(reference) {
    const { detail, status } = this;
    return JSON.stringify({ detail, reference, status, title: STATUS_CODES[status], type: "about:blank" });
  }
}

/** Freezes a value with all that it holds. */
function freeze(value) {
  // twice as fast as `Object.values`
  for (const name in value) if (typeof value[name] === "object" && value[name] !== null) freeze(value[name]);
  return Object.freeze(value);
}

module.exports = { Authorizer, Decision, isAuthorizer, log, ruleFor };
