//! The route table and the questions, before any engine has seen them.

/// Questions of each table.
pub(crate) const QUESTIONS: usize = 2 * HALF;
/// The first half is allowed, the second half is refused.
pub(crate) const HALF: usize = 1024;

/// The tenant that the token names.
pub(crate) const TENANT: &str = "acme";
/// The scopes that the token carries.
pub(crate) const SCOPES: [&str; 3] = ["a:read", "b:read", "c:write"];

/// So many rules. Each has one route `GET /tenants/{tenant}/groupG/itemI/{id}`, and asks for the scope
/// `a:read` and for a token whose tenant is the one in the path.
pub(crate) struct Table {
    pub(crate) rules: usize,
}

/// May this token `GET` this path?
pub(crate) struct Question {
    pub(crate) path: String,
    /// The rule whose route the path has, as a router would find it.
    pub(crate) rule: usize,
    /// The tenant in the path, as a router would find it.
    pub(crate) tenant: &'static str,
}

/// What a rule's path has between the two parameters.
pub(crate) fn middle(rule: usize) -> String {
    format!("group{}/item{}", rule / 100, rule % 100)
}

/// Whether the question of this number is to be allowed.
pub(crate) fn is_allowed(question: usize) -> bool {
    question < HALF
}

impl Table {
    /// The questions, spread over all rules.
    pub(crate) fn questions(&self) -> impl Iterator<Item = Question> {
        (0..QUESTIONS).map(|question| {
            let tenant = if is_allowed(question) { TENANT } else { "globex" };
            let n = question % HALF;
            let rule = n.wrapping_mul(2_654_435_761) % self.rules;
            Question { path: format!("/tenants/{tenant}/{}/{n}", middle(rule)), rule, tenant }
        })
    }
}
