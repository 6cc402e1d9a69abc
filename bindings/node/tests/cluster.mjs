// Three processes of a cluster decide one request each: `node cluster.mjs OPTIONS AUTHORIZATION`.
import cluster from "node:cluster";

import { Authorizer } from "jeton";

if (cluster.isPrimary) {
  for (let i = 0; i < 3; i++) cluster.fork().on("message", (status) => console.log(status));
} else {
  const [options, authorization] = process.argv.slice(2);
  const authorizer = new Authorizer(JSON.parse(options));
  const { status } = await authorizer.decide("GET", "/orders/42", authorization);
  process.send(status, () => process.disconnect());
}
