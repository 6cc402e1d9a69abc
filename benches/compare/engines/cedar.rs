//! cedar: requests and entities are built beforehand, only `is_authorized` is asked.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};

use super::Allows;
use crate::questions::{Question, SCOPES, TENANT, Table, middle};

/// One policy for each rule, which matches the path by `like`. Its `*` goes over `/` too, so this asks
/// for less than the route does; the questions do not touch the difference.
pub(super) fn by_path(table: &Table) -> Allows {
    let policies = (0..table.rules)
        .map(|rule| {
            format!(
                r#"permit (principal, action == Action::"GET", resource) when {{
                     context.path like "/tenants/*/{}/*" &&
                     principal.tenant == context.tenant && principal.scopes.contains("a:read")
                   }};"#,
                middle(rule)
            )
        })
        .collect();
    ask(table, policies, vec![token()], |Question { path, tenant, .. }| {
        (uid("Api", "big"), vec![("path".into(), text(&path)), ("tenant".into(), text(tenant))])
    })
}

/// One policy for each rule, and the service has found the route already.
pub(super) fn by_route(table: &Table) -> Allows {
    let policies = (0..table.rules)
        .map(|rule| {
            format!(
                r#"permit (principal, action == Action::"GET", resource == Route::"r{rule}") when {{
                     principal.tenant == context.tenant && principal.scopes.contains("a:read")
                   }};"#
            )
        })
        .collect();
    ask(table, policies, vec![token()], route)
}

/// One policy for all rules, and the service has found the route already. What a route asks for stands in
/// an entity; that will do as long as all routes ask for the same kind of thing.
pub(super) fn one_policy(table: &Table) -> Allows {
    let policy = r#"permit (principal, action == Action::"GET", resource is Route) when {
                      principal.tenant == context.tenant && principal.scopes.contains(resource.scope)
                    };"#;
    let routes = (0..table.rules).map(|rule| {
        entity(uid("Route", &format!("r{rule}")), HashMap::from([("scope".into(), text("a:read"))]))
    });
    ask(table, policy.into(), routes.chain([token()]).collect(), route)
}

/// The resource and the context of a question.
type Asked = (EntityUid, Vec<(String, RestrictedExpression)>);

/// The route as the resource; the context has the tenant in the path.
fn route(Question { rule, tenant, .. }: Question) -> Asked {
    (uid("Route", &format!("r{rule}")), vec![("tenant".into(), text(tenant))])
}

fn ask(table: &Table, policies: String, entities: Vec<Entity>, asked: fn(Question) -> Asked) -> Allows {
    let policies: PolicySet = policies.parse().unwrap();
    let entities = Entities::from_entities(entities, None).unwrap();
    let requests: Vec<Request> = table
        .questions()
        .map(|question| {
            let (resource, context) = asked(question);
            let context = Context::from_pairs(context).unwrap();
            Request::new(uid("Token", "t"), uid("Action", "GET"), resource, context, None).unwrap()
        })
        .collect();
    let authorizer = Authorizer::new();
    Box::new(move |question| {
        authorizer.is_authorized(&requests[question], &policies, &entities).decision() == Decision::Allow
    })
}

/// The token is the principal.
fn token() -> Entity {
    let scopes = RestrictedExpression::new_set(SCOPES.map(text));
    let attributes = HashMap::from([("tenant".into(), text(TENANT)), ("scopes".into(), scopes)]);
    entity(uid("Token", "t"), attributes)
}

fn entity(uid: EntityUid, attributes: HashMap<String, RestrictedExpression>) -> Entity {
    Entity::new(uid, attributes, HashSet::new()).unwrap()
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), name.parse().unwrap())
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}
