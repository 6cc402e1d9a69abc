//! A policy file with every key.
use serde_json::{Value, json};

use super::public_key;

/// A good file with every key there is.
pub(super) fn everything() -> Value {
    let tenant = json!({ "tenant": { "same_as_path": "tenant" } });
    let hash = "f7384ffbe16b396eb1c3a70d0b57858bf57fb3b7a5fd0a362f21626b19fe7e69";
    json!({
        "version": 1,
        "scopes": { "orders:read": "Read orders", "orders:write": "Write orders", "jeton:ops": "Operate" },
        "roles": { "agent": ["orders:read", "orders:write"], "nobody": [] },
        "apis": {
            "jeton": { "rules": { "ops": { "routes": ["GET /ops/**"], "require": { "scope": "jeton:ops" } } } },
            "orders": {
                "audience": "https://orders.example.com",
                "bundle": "clients",
                "pdp": true,
                "bound_tokens": true,
                "rules": {
                    "health": { "routes": ["GET /healthz", "GET /"], "public": true },
                    "read": {
                        "routes": ["GET /tenants/{tenant}/orders"],
                        "require": [
                            { "all_scopes": ["orders:read"], "any_scope": ["orders:read", "orders:write"] },
                            { "role": "agent", "any_role": ["agent", "nobody"] },
                            { "client": "acme-sync", "any_client": ["acme-sync", "1"] },
                            { "claims": {
                                "tenant": { "is": "acme", "in": ["acme", "", 42, -7, false], "contains": "acme" },
                                "level": { "is": 3, "contains": true },
                                "/plan/seats/0": { "is": true },
                                "sub": { "same_as_path": "tenant" },
                                "tenants": { "same_as_path": "tenant", "contains_path": "tenant" },
                            } },
                        ],
                    },
                },
                "guarantees": {
                    "isolation": { "routes": ["ANY /others/{tenant}/**"], "only_when": { "claims": tenant } },
                },
            },
        },
        "clients": {
            "acme-sync": {
                "description": "Nightly sync",
                "enabled": true,
                "anonymous": false,
                "secrets": [{ "sha256": hash }, { "sha256": hash, "expires": "2027-06-30T00:00:00Z" }],
                "grants": { "orders": { "roles": ["agent"], "scopes": ["orders:read"] }, "jeton": { "scopes": ["jeton:ops"] } },
                "claims": { "tenant": "acme", "plan": { "seats": [1, true, null, 1.5] } },
                "ttl": "15m",
                "limit": "100/m",
                "public_keys": [
                    { "jwk": serde_json::from_str::<Value>(&public_key("p256.jwk")).unwrap() },
                    { "pem": public_key("ed25519.pem") },
                    { "file": "rsa.pem" },
                ],
                "certificates": [
                    { "sha256": hash, "expires": "2027-06-30T00:00:00Z" },
                    { "san_dns": "orders.acme.example" },
                    { "san_uri": "spiffe://acme.example/orders" },
                    { "san_ip": "2001:db8::7" },
                    { "san_email": "ops@acme.example" },
                    { "subject": "CN=orders,O=ACME" },
                ],
                "bound_tokens": true,
                "federated": [
                    { "issuer": "github", "claims": { "repository_id": { "is": "456789" } } },
                    {
                        "issuer": "cluster",
                        "claims": {
                            "/kubernetes.io/namespace": { "in": ["a", 1, true] },
                            "groups": { "contains": "a" },
                            "sub": { "is": "b" },
                        },
                        "claims_from": { "pod": "/kubernetes.io/pod/name", "who": "sub" },
                    },
                ],
                "strict_assertions": true,
                "token_exchange": true,
                "refresh": true,
                "introspect": true,
                "status_list": true,
                "revoked_before": "2026-11-01T00:00:00Z",
            },
            "1": {},
            "asker": { "introspect": ["orders", "jeton"] },
        },
        "issuers": {
            "github": {
                "issuer": "https://token.actions.githubusercontent.com",
                "audience": "https://tokens.example.com",
                "keys": { "discover": true, "ca_file": "ca.pem", "token_file": "/run/token" },
                "algorithms": ["RS256", "Ed25519"],
                "max_lifetime": "1h",
                "single_use": true,
                "enabled": true,
            },
            "cluster": {
                "issuer": "http://127.0.0.1:8090",
                "audience": "x",
                "keys": { "jwks": "https://keys.example.com/jwks" },
            },
            "files": { "issuer": "https://b.example.com/", "audience": "x", "keys": { "file": "rsa.pem" } },
        },
        "revoked_tokens": ["01jd-a", { "jti": "01jd-b", "until": "2027-06-30T00:00:00Z" }],
        "tests": [
            { "as": "acme-sync", "api": "orders", "allow": ["GET /tenants/acme/orders"], "deny": ["GET /x"] },
            { "as": { "scopes": ["orders:read"], "roles": ["agent"], "claims": { "tenant": "acme" } }, "api": "orders", "deny": ["GET /x"] },
        ],
    })
}
