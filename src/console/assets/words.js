// Numbers and times in words.

import { address, h } from "./dom.js";

// A number, with a title that says what it counts.
export const number = (value, title) => h("span", { class: "counted", title }, value.toLocaleString("en"));

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC",
});

// `1 Dec, 14:03`, in UTC, from milliseconds.
export const moment = (time) => CLOCK.format(time);

// The beginning of a long name, such as of a `kid`.
export const brief = (text, length = 10) => (text.length > length + 1 ? `${text.slice(0, length)}…` : text);

// The address of the view that explains a request: of a client with all that it is granted, or of a bearer of what `token`
// carries, or of nobody.
export function explained({ api, client, method, path, token }) {
  const { scopes = [], roles = [], claims = {} } = token ?? {};
  const carried = client ? {} : {
    scopes: scopes.join(" "), roles: roles.join(" "), claims: Object.keys(claims).length > 0 && JSON.stringify(claims),
  };
  return address("#/explain", { api, as: client, method, path, ...carried });
}
