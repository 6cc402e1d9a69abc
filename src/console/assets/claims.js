// Claims as people write them: `tenant=acme` is text, `level:=3` is JSON, one a line; or all of them as one JSON object.

// Throws an `Error` in words.
export function parseClaims(text) {
  const written = text.trim();
  if (written.startsWith("{")) return exactJson(written);
  const claims = written.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [, key, colon, value] = /^([^=]+?)(:?)=(.*)$/s.exec(line) ?? [];
    if (!key) throw new Error(`Write \`${line}\` as NAME=TEXT or NAME:=JSON.`);
    return [key, colon ? exactJson(value) : value];
  });
  const twice = claims.find(([key], at) => claims.findIndex(([other]) => other === key) < at);
  if (twice) throw new Error(`Claim \`${twice[0]}\` is given twice.`);
  // not by assignment: `__proto__` is a name too
  return Object.fromEntries(claims);
}

function exactJson(text) {
  try {
    return JSON.parse(text, (key, value, context) => {
      if (typeof value === "number" && context && JSON.stringify(value) !== context.source) {
        throw new Error(`a browser does not keep the number ${context.source} as it is; \`jeton policies explain --claim\` does`);
      }
      return value;
    });
  } catch (error) {
    throw new Error(`The claims \`${text}\` are not understood: ${error.message}.`);
  }
}
