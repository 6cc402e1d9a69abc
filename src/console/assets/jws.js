// A token taken apart: the parts of a compact JWS (RFC 7515 section 7.1), and what is wrong with its form. Nothing is verified.

const LONGEST = 8192;

// Without what people copy along: the name of the header and of its scheme.
export const pasted = (text) => text.trim().replace(/^authorization:\s*/i, "").replace(/^(?:bearer|dpop)\s+/i, "");

// `{ header, payload, signature, faults }`: two objects and bytes, each `null` where it cannot be read; faults are words.
export function takeApart(token) {
  const parts = token.split(".");
  const faults = [];
  if (token.length > LONGEST) faults.push(`It has ${token.length} characters. jeton takes no token longer than ${LONGEST}.`);
  if (parts.length === 5) faults.push("It has five parts: it is encrypted (JWE). jeton takes signed tokens only.");
  else if (parts.length !== 3) {
    faults.push(`It has ${parts.length === 1 ? "no dot" : `${parts.length} parts`}. A token has three parts with dots between: header, payload, signature.`);
  }
  const attempt = (what, read) => {
    const part = parts[{ header: 0, payload: 1, signature: 2 }[what]];
    // of an encrypted token, only the header can be read
    if (part === undefined || (parts.length === 5 && what !== "header")) return null;
    try {
      return read(bytes(part));
    } catch (error) {
      faults.push(`The ${what} ${error.message}.`);
      return null;
    }
  };
  return { header: attempt("header", object), payload: attempt("payload", object), signature: attempt("signature", (read) => read), faults };
}

// The bytes of base64url without padding, in its canonical form.
function bytes(part) {
  if (!part) throw new Error("is empty");
  const [wrong] = /[^A-Za-z0-9_-]/u.exec(part) ?? [];
  if (wrong) {
    const why = { "=": "padding is left out here", "+": "that is base64", "/": "that is base64" }[wrong] ?? "that is not of base64url";
    throw new Error(`has \`${seen(wrong)}\` at character ${part.indexOf(wrong) + 1}: ${why}`);
  }
  const binary = part.length % 4 === 1 ? "" : atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  const again = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (again !== part) throw new Error("does not end where a byte ends: it is cut off or was changed");
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

// A JSON object. A number that a browser would round stays as it is written.
function object(read) {
  let value;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(read);
    value = JSON.parse(text, (key, one, context) => (typeof one === "number" && context && JSON.stringify(one) !== context.source ? new Exact(context.source) : one));
  } catch (error) {
    throw new Error(error instanceof SyntaxError ? `is not JSON: ${error.message}` : "is not text in UTF-8");
  }
  if (Object.prototype.toString.call(value) !== "[object Object]") throw new Error("is JSON, and not an object");
  return value;
}

class Exact {
  constructor(source) {
    this.source = source;
  }
}

// A value as JSON has it; a text at the top is bare.
export function written(value, top = true) {
  if (value instanceof Exact) return value.source;
  if (Array.isArray(value)) return `[${value.map((one) => written(one, false)).join(", ")}]`;
  if (value && typeof value === "object") return `{ ${Object.entries(value).map(([key, one]) => `${written(key, false)}: ${written(one, false)}`).join(", ")} }`;
  return seen(top && typeof value === "string" ? value : JSON.stringify(value));
}

// What cannot be seen, such as a mark that turns the direction, as its code.
export const seen = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
