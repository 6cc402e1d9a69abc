//! Values from Python and for Python.

use std::borrow::Cow;

use jeton_oauth::Thumbprint;
use jeton_verify::certificate_thumbprint;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString, PyTuple},
};
use serde_json::Value;

/// A part of a request as a server has it: text, or bytes. What is not UTF-8 becomes characters that no decision allows.
pub(crate) fn text<'v>(name: &str, value: &'v Bound<'_, PyAny>) -> PyResult<Cow<'v, str>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_string_lossy());
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(String::from_utf8_lossy(bytes.as_bytes()));
    }
    Err(PyTypeError::new_err(format!("`{name}` must be str or bytes, not {}", type_name(value))))
}

/// That of a certificate.
pub(crate) fn thumbprint(certificate: &Bound<'_, PyBytes>) -> PyResult<Thumbprint> {
    let der = certificate.as_bytes();
    // each begins as a sequence
    if der.first() == Some(&0x30) {
        return Ok(certificate_thumbprint(der));
    }
    Err(PyValueError::new_err("`certificate` must be DER: `ssl.PEM_cert_to_DER_cert` makes it of PEM"))
}

/// The values of all headers of a name: of none, of one, or a list of them.
#[derive(Default)]
pub(crate) struct Headers<'v>(Vec<Cow<'v, [u8]>>);

impl<'v> Headers<'v> {
    /// Reads them.
    pub(crate) fn read(name: &str, value: &'v Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self(Vec::new()));
        }
        let several = value.cast::<PyList>().map(|list| list.iter().collect::<Vec<_>>());
        let several = several.or_else(|_| value.cast::<PyTuple>().map(|tuple| tuple.iter().collect()));
        match several {
            Ok(items) => Ok(Self(
                items
                    .iter()
                    .map(|item| Ok(Cow::Owned(bytes(name, item)?.into_owned())))
                    .collect::<PyResult<_>>()?,
            )),
            Err(_) => Ok(Self(vec![bytes(name, value)?])),
        }
    }

    /// Their bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|value| &**value)
    }

    /// As values of their own.
    pub(crate) fn into_owned(self) -> Headers<'static> {
        Headers(self.0.into_iter().map(|value| Cow::Owned(value.into_owned())).collect())
    }
}

fn bytes<'v>(name: &str, value: &'v Bound<'_, PyAny>) -> PyResult<Cow<'v, [u8]>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    Ok(match text(name, value)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "that".to_owned(), |name| name.to_string())
}

/// A JSON value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, None, number) => number.into_pyobject(py)?.into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(members) => {
            let dict = PyDict::new(py);
            for (name, value) in members {
                dict.set_item(name, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
