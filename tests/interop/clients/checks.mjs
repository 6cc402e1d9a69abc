// What the programs of this folder in Node share.

export const orders = "https://orders.example.com";
export const secretOf = (client) => `interop-secret-of-${client}`;
let checks = 0;

export function holds(name, does, seen) {
  if (!does) {
    console.error(`error: ${name}`, seen ?? "");
    process.exit(1);
  }
  checks += 1;
  console.log(`ok: ${name}`);
}

export const count = () => checks;

/** A token of a client, without any library. */
export async function tokenOf(base, client, parameters) {
  const form = { grant_type: "client_credentials", client_id: client, client_secret: secretOf(client), ...parameters };
  const answer = await fetch(`${base}/oauth2/token`, { method: "POST", body: new URLSearchParams(form) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`no token for ${client}: ${JSON.stringify(body)}`);
  return body.access_token;
}
