//! What a client lacks at a route, and what an operator would do about it.
use jeton_oauth::ClientId;
use jeton_policy::{ConditionMet, MatrixAccess, PolicySet};

use crate::policy_text::compile_good;

const POLICIES: &str = "version: 1
scopes: { 'orders:read': x, 'orders:write': x, 'orders:refund': x, 'reports:read': x }
roles:
  agent: ['orders:read', 'orders:write']
  lead: ['orders:read', 'orders:refund']
issuers:
  github: { issuer: https://ci.example, audience: https://tokens.example.com, keys: { discover: true } }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      health: { routes: [GET /health], public: true }
      read:
        routes: ['GET /tenants/{tenant}/orders']
        require: { scope: 'orders:read', claims: { tenant: { same_as_path: tenant } } }
      refund:
        routes: ['POST /tenants/{tenant}/refund']
        require:
          - { scope: 'orders:refund', claims: { tenant: { same_as_path: tenant } } }
          - { role: lead, client: desk, claims: { level: { is: 3 } } }
      reports:
        routes: [GET /reports]
        require: { all_scopes: ['orders:read', 'reports:read'], claims: { groups: { contains: staff } } }
      both:
        routes: ['GET /both/{tenant}']
        require: { claims: { tenant: { same_as_path: tenant }, owner: { same_as_path: tenant } } }
      mine: { routes: ['GET /mine/{id}'], require: { claims: { sub: { same_as_path: id } } } }
      eu: { routes: [GET /eu], require: { scope: 'orders:read', claims: { region: { in: [eu, uk] } } } }
      any: { routes: [GET /any], require: { any_role: [agent, lead], any_client: [acme, desk] } }
  safe:
    audience: https://safe.example.com
    bound_tokens: true
    rules:
      get: { routes: [GET /], require: { scope: 'orders:read' } }
clients:
  acme:
    secrets: [{ sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    grants: { orders: { roles: [agent] } }
    claims: { tenant: acme, groups: [guests], owner: other, region: us }
  acme-2:
    secrets: [{ sha256: 3bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    grants: { orders: { scopes: ['orders:refund'] } }
    claims: { tenant: [acme], groups: staff }
  acme-10:
    secrets: [{ sha256: 4bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    grants: { orders: { scopes: ['orders:refund', 'reports:read'] } }
    claims: { tenant: acme, groups: [staff] }
  desk:
    grants: { orders: { roles: [lead] } }
    claims: { level: 2 }
  off:
    enabled: false
    secrets: [{ sha256: 5bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    grants: { orders: { roles: [agent, lead] } }
    claims: { tenant: off }
  none:
    secrets: [{ sha256: 6bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    claims: { tenant: none }
  hidden:
    anonymous: true
    secrets: [{ sha256: 7bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
    grants: { orders: { roles: [agent] } }
  taken:
    grants: { orders: { roles: [agent] } }
    federated:
      - { issuer: github, claims: { repository_id: { is: '1' }, group: { is: acme }, region: { is: us } }, claims_from: { tenant: group, region: region } }
";

fn policies() -> PolicySet {
    compile_good(POLICIES)
}

/// A gap: what is missing, how to close it, and who has what is missing.
#[track_caller]
fn gap(client: &str, route: &str, missing: &[&str], how: &[&str], held_by: &[&str]) {
    let policies = policies();
    let found = policies.client_access(policies.api("orders").unwrap(), client, route).unwrap();
    assert_eq!(found.access, MatrixAccess::Never);
    let least = found.least.unwrap();
    let file = found.rule.file;
    let how: Vec<_> = how.iter().map(|line| line.replace("FILE", &file)).collect();
    assert_eq!((least.missing, least.how), (missing.iter().map(|it| (*it).to_owned()).collect(), how));
    assert_eq!(least.held_by.iter().map(ClientId::as_str).collect::<Vec<_>>(), held_by);
}

#[test]
fn a_scope_that_is_missing_is_granted_by_itself_or_by_a_role() {
    gap(
        "acme",
        "POST /tenants/{tenant}/refund",
        &["scope: orders:refund"],
        &["grant scope `orders:refund` at API `orders`, or role `lead`, which has it"],
        &["acme-2", "acme-10", "desk"],
    );
}

#[test]
fn several_things_are_named_in_the_order_of_the_rule() {
    gap(
        "acme",
        "GET /reports",
        &["all_scopes: [orders:read, reports:read]", "claims.groups contains `staff`"],
        &[
            "grant scope `reports:read` at API `orders`",
            "add `staff` to the claim `groups` of client `acme`, which is `[\"guests\"]`",
        ],
        &[],
    );
}

#[test]
fn a_claim_of_another_value_or_type_is_told() {
    gap(
        "acme",
        "GET /eu",
        &["claims.region in [eu, uk]"],
        &["change the claim `region` of client `acme` from `us` to one of `eu`, `uk`"],
        &[],
    );
    gap(
        "desk",
        "GET /tenants/{tenant}/orders",
        &["claims.tenant same_as_path `tenant`"],
        &["give client `desk` the claim `tenant`: the value that the path has at `tenant`"],
        &["acme", "acme-10", "taken"],
    );
    let policies = policies();
    let found =
        policies.client_access(policies.api("orders").unwrap(), "acme-2", "GET /both/{tenant}").unwrap();
    let how = found.least.unwrap().how;
    assert_eq!(
        how[0],
        "write the claim `tenant` of client `acme-2` as text or a number: it is a list of text, and for a list use \
         `contains` or `contains_path`"
    );
}

#[test]
fn conditions_that_hold_apart_and_never_together_are_told() {
    gap(
        "acme",
        "GET /both/{tenant}",
        &["claims.tenant same_as_path `tenant`", "claims.owner same_as_path `tenant`"],
        &[
            "change the claims of client `acme`: on no path of the route do `claims.tenant same_as_path `tenant`` and \
             `claims.owner same_as_path `tenant`` hold together",
        ],
        &[],
    );
}

#[test]
fn a_client_without_a_grant_needs_one_first() {
    gap(
        "none",
        "GET /tenants/{tenant}/orders",
        &["scope: orders:read"],
        &[
            "give client `none` a grant for API `orders`",
            "grant scope `orders:read` at API `orders`, or one of the roles that have it: `agent`, `lead`",
        ],
        &["acme", "desk", "hidden", "taken"],
    );
    gap(
        "none",
        "GET /mine/{id}",
        &[],
        &["give client `none` a grant for API `orders`, with any scope or role"],
        &["acme", "acme-2", "acme-10", "desk", "hidden", "taken"],
    );
}

#[test]
fn a_disabled_client_is_enabled_first() {
    gap(
        "off",
        "GET /tenants/{tenant}/orders",
        &[],
        &["enable client `off`: remove `enabled: false`"],
        &["acme", "acme-2", "acme-10", "desk", "hidden", "taken"],
    );
}

#[test]
fn a_rule_for_other_clients_is_told() {
    let rule = "let rule `any` (FILE:29) take client `taken` too: it asks for `any_client: [acme, desk]`";
    gap("taken", "GET /any", &["any_client: [acme, desk]"], &[rule], &["acme", "desk"]);
    gap(
        "hidden",
        "GET /mine/{id}",
        &["claims.sub same_as_path `id`"],
        &["remove `anonymous: true` from client `hidden`: its tokens do not name it"],
        &["acme", "acme-2", "acme-10", "desk", "taken"],
    );
}

#[test]
fn a_claim_of_another_issuer_says_where_it_comes_from() {
    gap(
        "taken",
        "GET /eu",
        &["claims.region in [eu, uk]"],
        &[
            "let the claim `region` of client `taken` meet `in [eu, uk]`: it comes from github's region, and the `federated` \
           entries of the client let in no such token",
        ],
        &[],
    );
}

#[test]
fn the_alternative_that_lacks_least_comes_first() {
    let policies = policies();
    let orders = policies.api("orders").unwrap();
    let found = policies.client_access(orders, "desk", "POST /tenants/{tenant}/refund").unwrap();
    let positions: Vec<_> = found.alternatives.iter().map(|one| (one.position, one.missing.len())).collect();
    assert_eq!(positions, [(1, 1), (2, 1)]);
    let found = policies.client_access(orders, "acme", "POST /tenants/{tenant}/refund").unwrap();
    assert_eq!(found.alternatives[1].missing.len(), 3, "{found:?}");
    let first = &found.alternatives[0];
    let met: Vec<_> = first.conditions.iter().map(|one| (one.condition.as_str(), one.met)).collect();
    let tenant = "claims.tenant same_as_path `tenant`";
    assert_eq!(met, [("scope: orders:refund", ConditionMet::No), (tenant, ConditionMet::Depends)]);
}

#[test]
fn an_open_cell_has_no_gap_and_reads_as_the_matrix() {
    let policies = policies();
    let orders = policies.api("orders").unwrap();
    for (client, route, access) in [
        ("none", "GET /health", MatrixAccess::Always),
        ("acme", "GET /tenants/{tenant}/orders", MatrixAccess::When("tenant = acme".to_owned())),
        ("taken", "GET /tenants/{tenant}/orders", MatrixAccess::When("tenant = acme".to_owned())),
    ] {
        let found = policies.client_access(orders, client, route).unwrap();
        assert_eq!((found.access, found.least), (access, None), "{client} {route}");
    }
    let found = policies.client_access(orders, "acme", "GET /tenants/{tenant}/orders").unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!((&json["access"], &json["condition"]), (&"when".into(), &"tenant = acme".into()), "{json}");
    assert_eq!(json["alternatives"][0]["conditions"][0]["met"], "yes");
    assert!(policies.client_access(orders, "nobody", "GET /health").is_none());
    assert!(policies.client_access(orders, "acme", "GET /nowhere").is_none());
}

#[test]
fn a_hint_says_what_else_is_needed() {
    let policies = policies();
    let hint = |api: &str, client: &str, route: &str| {
        policies.client_access(policies.api(api).unwrap(), client, route).unwrap().hint.unwrap_or_default()
    };
    assert_eq!(hint("orders", "acme", "GET /eu"), "");
    assert!(hint("orders", "off", "GET /eu").starts_with("client `off` is disabled: "));
    assert_eq!(
        hint("orders", "desk", "GET /eu"),
        "client `desk` gets no token: it has no credentials, or all have expired"
    );
    let bound = "the API takes bound tokens only (`bound_tokens`): a request must also prove the key or certificate of the token";
    assert_eq!(hint("safe", "acme", "GET /"), bound);
}
