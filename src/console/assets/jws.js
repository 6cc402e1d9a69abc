// A token taken apart: the parts of a compact JWS (RFC 7515 section 7.1), and all that is wrong with its form. Nothing is verified.

import { repeatedName } from "./claims.js";

const LONGEST = 8192;

// Without what people copy along: the name of the header and of its scheme.
export const pasted = (text) => text.trim().replace(/^authorization:\s*/i, "").replace(/^(?:bearer|dpop)\s+/i, "");

// `{ header, payload, signature, faults }`: objects and the length of the signature, each `null` where it cannot be read; faults are words.
export function takeApart(token) {
  const faults = [];
  const length = new TextEncoder().encode(token).length;
  if (length > LONGEST) faults.push(`It has ${length} bytes. jeton takes no token longer than ${LONGEST}.`);
  const parts = token.split(".");
  if (parts.length === 5) faults.push("It has five parts: it is encrypted (JWE). jeton takes signed tokens only.");
  else if (parts.length !== 3) faults.push(counted(parts.length));
  const [header, payload, signature] = parts;
  const attempt = (read) => {
    try {
      return read();
    } catch (error) {
      faults.push(error.message);
      return null;
    }
  };
  const read = {
    header: attempt(() => object(header, "header")),
    payload: parts.length === 5 || payload === undefined ? null : attempt(() => object(payload, "payload")),
    signature: parts.length === 3 ? attempt(() => bytes(signature, "signature").length) : null,
  };
  return { ...read, faults };
}

function counted(parts) {
  const has = parts === 1 ? "It has no dot" : `It has ${parts} parts`;
  return `${has}. A token has three parts with dots between them: header, payload, signature.${parts < 3 ? " The end may be cut off." : ""}`;
}

// A JSON object. A number that a browser would round is kept as it is written, as an `Exact`.
function object(part, what) {
  const text = utf8(bytes(part, what), what);
  let value;
  try {
    value = JSON.parse(text, exact);
  } catch (error) {
    throw new Error(`The ${what} is not JSON: ${error.message}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Exact) {
    throw new Error(`The ${what} is JSON, and not an object.`);
  }
  const twice = repeatedName(text);
  if (twice !== null) throw new Error(`The ${what} has the member \`${twice}\` twice in one object. jeton takes no such token.`);
  return value;
}

export class Exact {
  constructor(source) {
    this.source = source;
  }
}

const exact = (key, value, context) =>
  typeof value === "number" && context?.source !== undefined && JSON.stringify(value) !== context.source ? new Exact(context.source) : value;

function utf8(binary, what) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(binary);
  } catch {
    throw new Error(`The ${what} is not text in UTF-8.`);
  }
}

// The bytes of base64url without padding, in its canonical form.
function bytes(part, what) {
  if (part === "") throw new Error(`The ${what} is empty.`);
  const wrong = /[^A-Za-z0-9_-]/u.exec(part);
  if (wrong) throw new Error(`The ${what} has ${character(wrong[0])} at character ${wrong.index + 1}.`);
  if (part.length % 4 === 1) throw new Error(`The ${what} has ${part.length} characters, which no base64url text has: it is cut off, or has one too many.`);
  const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  if (btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") !== part) {
    throw new Error(`The last character of the ${what} has bits that belong to no byte: it is cut off or was changed.`);
  }
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

function character(found) {
  if (/\s/.test(found)) return "a space or a line break";
  if (found === "=") return "padding (`=`), which base64url in a token does not have,";
  if (found === "+" || found === "/") return `\`${found}\`, which is of base64 and not of base64url,`;
  const shown = /[\p{C}\p{Z}\x60]/u.test(found) ? `U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : `\`${found}\``;
  return `${shown}, which is no character of base64url,`;
}

// A value as JSON has it, with text bare at the top. What cannot be seen is written as its code.
export function written(value, top = true) {
  if (value instanceof Exact) return value.source;
  if (Array.isArray(value)) return `[${value.map((one) => written(one, false)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{ ${Object.entries(value).map(([key, one]) => `${seen(JSON.stringify(key))}: ${written(one, false)}`).join(", ")} }`;
  }
  return seen(top && typeof value === "string" ? value : JSON.stringify(value));
}

export const seen = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
