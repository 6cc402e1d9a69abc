//! What is wrong with what an attempt came to.

use std::collections::BTreeMap;

use super::{
    attacks::Attack,
    certificates,
    echo::SeenRequest,
    gateway::CheckedGateway,
    mark::Marks,
    samples::{CheckPlan, SampleBearer},
    wire::GatewayAnswer,
};
use jeton_oauth::{ClientId, Role, TokenId};
use jeton_policy::{Decision, Permissions, ProtectedApi};
use jeton_verify::gateway::{HostName, IDENTITY_PREFIX, METHOD_OVERRIDES, header_text};

/// Who says what must not get through.
pub(crate) struct Judge<'j> {
    pub(crate) gateway: &'j CheckedGateway<'j>,
    pub(crate) plan: &'j CheckPlan<'j>,
    pub(crate) marks: &'j Marks,
}

/// Something that got through and must not: a short form of it, and why.
pub(crate) struct Fault {
    pub(crate) seen: String,
    pub(crate) why: String,
}

/// Headers that only a gateway says of a request.
const OF_GATEWAYS: [&str; 6] = [
    "x-original-uri",
    "x-original-url",
    "x-original-method",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-method",
];
/// The longest request line of the upstream that is shown.
const LONGEST_SEEN: usize = 200;

impl Judge<'_> {
    pub(crate) fn bearer(&self, attack: &Attack) -> Option<&SampleBearer> {
        self.plan.bearers.get(attack.bearer?)
    }

    /// What is wrong with an attempt of this number, by what arrived of it and what was answered.
    pub(crate) fn faults(
        &self,
        attack: &Attack,
        number: usize,
        arrived: &[SeenRequest],
        answers: &[GatewayAnswer],
    ) -> Vec<Fault> {
        let bearer = self.bearer(attack);
        let fault = |seen: &SeenRequest| {
            let why = match (attack.must_not, bearer) {
                (Some(why), _) => why.to_owned(),
                (None, None) => "it is not clear whose token is meant".to_owned(),
                (None, Some(bearer)) => self.refusal(seen, bearer).or_else(|| self.forged(seen, bearer))?,
            };
            let seen = format!("{} {}", seen.method, seen.target).chars().take(LONGEST_SEEN).collect();
            Some(Fault { seen, why })
        };
        let mut faults: Vec<_> = arrived.iter().filter_map(fault).collect();
        let elsewhere = answers.iter().find_map(|answer| {
            let why = self.elsewhere(attack, number, !arrived.is_empty(), answer)?;
            Some(Fault { seen: format!("nothing; the answer is {}", answer.status), why })
        });
        faults.extend(elsewhere);
        faults
    }

    /// Why an answer is not that of the upstream to this attempt, if it says that all is well.
    fn elsewhere(
        &self,
        attack: &Attack,
        number: usize,
        arrived: bool,
        answer: &GatewayAnswer,
    ) -> Option<String> {
        // servers answer that for themselves (RFC 9110 section 9.3.7)
        let is_of_server = attack.bytes.starts_with(b"OPTIONS * ") && !answer.has_body();
        if !answer.is_success() || is_of_server {
            return None;
        }
        let why = match self.marks.number_in(answer.text()) {
            Some(other) if other != number => "it is the answer to another request, for example from a cache",
            _ if arrived => return None,
            _ => "it did not reach the upstream at `--echo`, or without `X-Jeton-Check`",
        };
        Some(format!("answered by something else than the upstream: {why}"))
    }

    /// Why the policies refuse what the upstream saw, read as the upstream reads it.
    fn refusal(&self, seen: &SeenRequest, bearer: &SampleBearer) -> Option<String> {
        for name in METHOD_OVERRIDES {
            let mut values = seen.headers.iter().filter(|(other, _)| dashed(other) == name);
            if let Some((name, value)) = values.find(|(_, value)| *value != seen.method) {
                return Some(format!("`{name}: {value}` changes the method"));
            }
        }
        let api = match self.api(seen) {
            Ok(api) => api,
            Err(why) => return Some(why),
        };
        if let Some(meant) = bearer.api.as_ref().filter(|meant| *meant != api.name()) {
            return Some(format!("the token is for the API `{meant}`, and this is `{}`", api.name()));
        }
        let subject = bearer.permissions.as_ref().map(Permissions::subject);
        match api.decide(&seen.method, &seen.target, subject.as_ref()) {
            Decision::Allow { .. } => None,
            Decision::Deny(denial) => {
                Some(format!("the policies refuse that ({}): {denial}", denial.reason()))
            }
        }
    }

    /// The API at the host that the upstream saw.
    fn api(&self, seen: &SeenRequest) -> Result<&ProtectedApi, String> {
        let hosts: Vec<_> = seen.values("host").collect();
        let found = match &hosts[..] {
            _ if !self.gateway.by_host => self.gateway.apis.values().next(),
            [host] => self.gateway.apis.get(HostName::of(host).as_str()),
            _ => None,
        };
        found
            .copied()
            .ok_or_else(|| format!("no API is at the host `{}` that the upstream saw", hosts.join(", ")))
    }

    /// What the upstream would take for jeton's or the gateway's word, and is not.
    fn forged(&self, seen: &SeenRequest, bearer: &SampleBearer) -> Option<String> {
        let expected = self.identity(bearer);
        for option in seen.values("connection").flat_map(|value| value.split(',')) {
            if dashed(option.trim()).starts_with(IDENTITY_PREFIX) {
                return Some(format!("`Connection` of the client reached it, and names `{}`", option.trim()));
            }
        }
        for (name, value) in &seen.trailers {
            if is_of_jeton_or_gateway(&dashed(name)) {
                return Some(format!("the trailer `{name}: {value}` of the client reached it"));
            }
        }
        for (name, value) in &seen.headers {
            let dashed = dashed(name);
            if OF_GATEWAYS.contains(&&*dashed) && !(*value == seen.target || *value == seen.method) {
                return Some(format!("`{name}: {value}` of the client reached it"));
            }
            if dashed == self.gateway.certificate_header || certificates::is_forged(&dashed, value) {
                return Some(format!(
                    "`{name}` of the client reached it, which says what certificate it showed"
                ));
            }
            if !dashed.starts_with(IDENTITY_PREFIX) {
                continue;
            }
            match expected.get(&name.to_ascii_lowercase()) {
                Some(expected) if expected == value => {}
                Some(expected) => {
                    return Some(format!("`{name}: {value}` reached it, but jeton sent `{expected}`"));
                }
                None => return Some(format!("`{name}: {value}` of the client reached it")),
            }
        }
        for (name, value) in &expected {
            match seen.values(name).count() {
                0 if value.is_empty() => {}
                1 => {}
                0 => return Some(format!("`{name}` is missing: jeton sent `{value}`")),
                _ => return Some(format!("`{name}` stands more than once")),
            }
        }
        None
    }

    /// What every identity header must say.
    fn identity(&self, bearer: &SampleBearer) -> BTreeMap<String, String> {
        let permissions = bearer.permissions.as_ref();
        let roles = permissions.map(|it| it.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" "));
        let mut identity = BTreeMap::from([
            ("x-auth-client".to_owned(), bearer.client.as_ref().map_or("", ClientId::as_str).to_owned()),
            ("x-auth-scopes".to_owned(), permissions.map(|it| it.scopes.to_string()).unwrap_or_default()),
            ("x-auth-roles".to_owned(), roles.unwrap_or_default()),
            ("x-auth-token-id".to_owned(), bearer.token_id.as_ref().map_or("", TokenId::as_str).to_owned()),
        ]);
        for claim in self.gateway.claims {
            let value = permissions.and_then(|it| it.claims.get(&claim.claim)).and_then(header_text);
            identity.insert(claim.header.clone(), value.unwrap_or_default());
        }
        identity
    }
}

/// As a server has a name that makes no difference between `-` and `_`.
fn dashed(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn is_of_jeton_or_gateway(dashed: &str) -> bool {
    dashed.starts_with(IDENTITY_PREFIX)
        || OF_GATEWAYS.contains(&dashed)
        || METHOD_OVERRIDES.contains(&dashed)
        || matches!(dashed, "authorization" | "host")
}
