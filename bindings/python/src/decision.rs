//! What Python gets of a decision.

use jeton_verify::Answer;
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use crate::values::to_python;

/// What a request is answered.
#[pyclass(frozen, module = "jeton")]
pub(crate) struct Decision {
    answer: Answer,
}

impl Decision {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer }
    }
}

#[pymethods]
impl Decision {
    #[getter]
    fn allowed(&self) -> bool {
        self.answer.is_allowed()
    }

    #[getter]
    fn status(&self) -> u16 {
        self.answer.status
    }

    /// Two headers of one name are one with a comma (RFC 9110 section 5.3).
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in &self.answer.headers {
            match headers.get_item(name)? {
                Some(before) => headers.set_item(name, format!("{before}, {value}"))?,
                None => headers.set_item(name, value)?,
            }
        }
        Ok(headers)
    }

    #[getter]
    fn reason(&self) -> &str {
        self.answer.reason
    }

    #[getter]
    fn rule(&self) -> Option<&str> {
        self.answer.rule.as_deref()
    }

    #[getter]
    fn principal(&self) -> Option<Principal> {
        self.answer.principal.clone().map(Principal)
    }

    #[getter]
    fn detail(&self) -> &str {
        &self.answer.detail
    }

    #[pyo3(signature = (reference=None))]
    fn problem(&self, reference: Option<&str>) -> String {
        self.answer.problem(reference)
    }

    fn __bool__(&self) -> bool {
        self.answer.is_allowed()
    }

    fn __repr__(&self) -> String {
        let Answer { status, reason, rule, .. } = &self.answer;
        let rule = rule.as_deref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
        let allowed = if self.answer.is_allowed() { "allowed" } else { "refused" };
        format!("<Decision {allowed}{rule}: {reason}, {status}>")
    }
}

/// Who bears the token of a request. Python cannot make one.
#[pyclass(frozen, module = "jeton")]
pub(crate) struct Principal(jeton_verify::Principal);

#[pymethods]
impl Principal {
    #[getter]
    fn client(&self) -> Option<&str> {
        self.0.client().map(jeton_oauth::ClientId::as_str)
    }

    #[getter]
    fn subject(&self) -> Option<&str> {
        self.0.subject_client().map(jeton_oauth::ClientId::as_str)
    }

    #[getter]
    fn scopes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.scopes().iter().map(jeton_oauth::Scope::as_str).collect::<Vec<_>>())
    }

    #[getter]
    fn roles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.roles().iter().map(jeton_oauth::Role::as_str))
    }

    #[getter]
    fn claims<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let claims = PyDict::new(py);
        for (name, value) in self.0.claims() {
            claims.set_item(name, to_python(py, value)?)?;
        }
        Ok(claims)
    }

    #[getter]
    fn token_id(&self) -> &str {
        self.0.token_id().as_str()
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.0.expires_at()
    }

    fn __repr__(&self) -> String {
        match self.0.client() {
            Some(client) => format!("<Principal {client}>"),
            None => "<Principal without a name>".to_owned(),
        }
    }
}
