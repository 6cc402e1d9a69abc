// Claims as people write them, and JSON that means the same to a browser and to the server.

// `tenant=acme` is text, `level:=3` is JSON, one a line; or all of them as one JSON object. Throws an `Error` in words.
export function parseClaims(text) {
  const written = text.trim();
  if (written === "") return {};
  if (written.startsWith("{")) return exactJson(written, "the claims");
  const claims = new Map();
  for (const line of written.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(line) ?? [];
    const claim = key?.replace(/:$/, "");
    if (!claim) throw new Error(`Write \`${line}\` as NAME=TEXT or NAME:=JSON.`);
    if (claims.has(claim)) throw new Error(`Claim \`${claim}\` is given twice.`);
    claims.set(claim, claim === key ? value : exactJson(value, `claim \`${claim}\``));
  }
  // not by assignment: `__proto__` is a name too
  return Object.fromEntries(claims);
}

// The other way round.
export function writtenClaims(claims) {
  const entries = Object.entries(claims);
  const fits = ([key, value]) => /^[^={\s][^=\n]*$/.test(key) && key === key.trim() && !key.endsWith(":") &&
    (typeof value !== "string" || (value === value.trim() && !value.includes("\n")));
  if (!entries.every(fits)) return JSON.stringify(claims, null, 1);
  return entries.map(([key, value]) => (typeof value === "string" ? `${key}=${value}` : `${key}:=${JSON.stringify(value)}`)).join("\n");
}

function exactJson(text, what) {
  const wrong = (words) => new Error(`${what.charAt(0).toUpperCase()}${what.slice(1)}: ${words}`);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(`\`${text}\` is not JSON: ${error.message}.`);
  }
  const twice = repeatedName(text);
  if (twice !== null) throw wrong(`\`${twice}\` stands twice in one object.`);
  const rounded = (text.match(TOKENS) ?? []).find((token) => /^-?\d/.test(token) && JSON.stringify(Number(token)) !== token);
  if (rounded) throw wrong(`a browser does not keep the number ${rounded} as it is. Use \`jeton policies explain --claim\`.`);
  return value;
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

// The first name that stands twice in one object of a JSON text, or `null`.
export function repeatedName(text) {
  const open = [];
  let before = "";
  for (const [token] of text.matchAll(TOKENS)) {
    const names = open.at(-1);
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (names && (before === "{" || before === ",")) {
      const found = JSON.parse(token);
      if (names.has(found)) return found;
      names.add(found);
    }
    before = token;
  }
  return null;
}
