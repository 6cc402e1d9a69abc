// Who holds a key for DPoP proofs, and a certificate of a client with its key.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const sha256 = (data) => createHash("sha256").update(data).digest("base64url");

/** Who has this key (PEM), or a new one. */
export class Holder {
  #key;
  #jwk;

  constructor(key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey) {
    this.#key = Buffer.isBuffer(key) ? createPrivateKey(key) : key;
    this.#jwk = createPublicKey(this.#key).export({ format: "jwk" });
  }

  /** RFC 7638. */
  get thumbprint() {
    const { crv, kty, x, y } = this.#jwk;
    return sha256(JSON.stringify({ crv, kty, x, y }));
  }

  /** A proof for one request with a token (RFC 9449 section 4.2). */
  proof(htm, htu, token) {
    const header = { typ: "dpop+jwt", alg: "ES256", jwk: this.#jwk };
    const claims = { jti: randomUUID(), htm, htu, iat: Math.floor(Date.now() / 1000), ath: sha256(token) };
    const signed = `${encoded(header)}.${encoded(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }
}

const table = new URL("../../../tests/fixtures/decisions/cases.json", import.meta.url);

function certificate(name) {
  const base64 = JSON.parse(readFileSync(table, "utf8")).certificates[name];
  const der = Buffer.from(base64, "base64");
  // the bytes 0 to 31 are its Ed25519 key (tests/fixtures/decisions/possession.py)
  const seed = Buffer.from(Array.from({ length: 32 }, (_, byte) => byte));
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" });
  const pem = `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;
  return { der, pem, key, thumbprint: sha256(der) };
}

/** The certificate of a client, and a second one of the same key. */
export const CERTIFICATE = certificate("holder");
export const RENEWED = certificate("renewed");
