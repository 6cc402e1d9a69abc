// Denied decisions as they come: the newest are kept, and told by reason and client.

// As many as the page keeps.
export const MOST = 500;

// The newest decisions first. What the server sends again, after a lost connection, counts once.
export class Decisions {
  constructor() {
    this.kept = [];
    this.seen = new Set();
    this.all = 0;
  }

  // Answers whether it is a new one.
  add(decision) {
    const key = keyOf(decision);
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    this.kept.unshift({ ...decision, key });
    this.all += 1;
    for (const old of this.kept.splice(MOST)) this.seen.delete(old.key);
    return true;
  }

  clear() {
    this.kept = [];
  }

  // One group for each reason and client, that of the newest decision first.
  groups() {
    const groups = new Map();
    for (const decision of this.kept) {
      const key = JSON.stringify([decision.reason, decision.client ?? null, decision.api]);
      if (!groups.has(key)) groups.set(key, { key, decisions: [] });
      groups.get(key).decisions.push(decision);
    }
    return [...groups.values()];
  }
}

const keyOf = ({ id, time, api, method, path }) => JSON.stringify([id, time, api, method, path]);

// What a reason means, as the log names it.
const REASONS = {
  "no-token": "The request has no token.",
  "invalid-token": "The token is bad.",
  "not-bound": "The token is not bound, and the API or the scheme asks for a bound one.",
  "not-held": "The request does not show what the token is bound to.",
  "invalid-proof": "The DPoP proof is malformed, or for another request, token or time.",
  "replayed-proof": "The DPoP proof was used before.",
  "too-many-proofs": "No further DPoP proof can be remembered for a moment.",
  "no-origin": "The token is bound to a key, and the gateway has no origin.",
  unavailable: "Nobody knows yet which tokens are revoked.",
  "no-route": "No rule has this method and path.",
  "not-met": "A rule decides, and the token lacks something.",
  "bad-path": "Two servers might read the path differently.",
  "bad-method": "This method is never allowed.",
  "no-api": "The policies have no API of this name.",
  "no-header": "No header can carry a claim of the token.",
  ambiguous: "The question of the gateway is not clear.",
  "unknown-host": "No API is at this host.",
};

export const reasonInWords = (reason) => REASONS[reason] ?? "";
