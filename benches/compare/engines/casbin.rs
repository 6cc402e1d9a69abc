//! casbin: requests are built beforehand, only `enforce` is asked.

use casbin::{Adapter, CoreApi, DefaultModel, Enforcer, MemoryAdapter, rhai::Dynamic};

use super::Allows;
use crate::questions::{Question, SCOPES, TENANT, Table, middle};

/// One policy for each rule, whose path is a pattern. What costs least is asked first, for `keyMatch2`
/// compiles a regular expression each time.
pub(super) fn by_path(table: &Table) -> Allows {
    let path = |rule| format!("/tenants/:tenant/{}/:id", middle(rule));
    let matcher = "r.path_tenant == r.tenant && r.method == p.method && p.scope in r.scopes && \
                   keyMatch2(r.path, p.path)";
    ask(table, path, matcher, |question| question.path.clone())
}

/// One policy for each rule, and the service has found the route already.
pub(super) fn by_route(table: &Table) -> Allows {
    let name = |rule| format!("r{rule}");
    let matcher = "r.path == p.path && r.path_tenant == r.tenant && r.method == p.method && \
                   p.scope in r.scopes";
    ask(table, name, matcher, |question| format!("r{}", question.rule))
}

/// `path` makes the path of a rule, `asked` that of a question.
fn ask(
    table: &Table,
    path: impl Fn(usize) -> String,
    matcher: &str,
    asked: fn(&Question) -> String,
) -> Allows {
    let model = format!(
        "[request_definition]\nr = method, path, path_tenant, tenant, scopes\n\
         [policy_definition]\np = method, path, scope\n\
         [policy_effect]\ne = some(where (p.eft == allow))\n\
         [matchers]\nm = {matcher}\n"
    );
    let policies = (0..table.rules).map(|rule| vec!["GET".into(), path(rule), "a:read".into()]).collect();
    let enforcer = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let mut adapter = MemoryAdapter::default();
        adapter.add_policies("p", "p", policies).await.unwrap();
        Enforcer::new(DefaultModel::from_str(&model).await.unwrap(), adapter).await.unwrap()
    });
    let requests: Vec<Vec<Dynamic>> = table
        .questions()
        .map(|question| {
            let scopes = SCOPES.map(Into::<Dynamic>::into).to_vec();
            let path = asked(&question);
            vec!["GET".into(), path.into(), question.tenant.into(), TENANT.into(), scopes.into()]
        })
        .collect();
    Box::new(move |question| enforcer.enforce(requests[question].clone()).unwrap())
}
