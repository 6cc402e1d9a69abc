//! The arguments of an authorizer, from which it is started in each process.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use jeton_oauth::ClientId;
use jeton_verify::{Origin, ServiceCredentials, ServiceError, ServiceOptions};
use pyo3::{
    exceptions::{PyOSError, PyTypeError, PyValueError},
    prelude::*,
};

use crate::process::Process;

/// The arguments as Python has them.
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) issuer: &'a str,
    pub(crate) api: &'a str,
    pub(crate) policies: Option<PathBuf>,
    pub(crate) jwks: Option<PathBuf>,
    pub(crate) leeway: i64,
    pub(crate) keep: Option<PathBuf>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) credentials: Option<&'a Bound<'py, PyAny>>,
    pub(crate) ca_file: Option<PathBuf>,
}

/// What an authorizer was made of.
pub(crate) struct Options(ServiceOptions);

impl Options {
    /// Reads them.
    pub(crate) fn read(arguments: Arguments<'_, '_>) -> PyResult<Self> {
        let Arguments { issuer, api, policies, jwks, leeway, keep, origin, credentials, ca_file } = arguments;
        let leeway = u32::try_from(leeway)
            .map_err(|_| PyValueError::new_err(format!("leeway={leeway}: name seconds from 0")))?;
        let mut options = ServiceOptions::new(issuer, api).map_err(to_python)?;
        options.policies = policies;
        options.jwks = jwks;
        options.leeway = Duration::from_secs(leeway.into());
        options.keep = keep;
        let origin = origin.map(Origin::parse).transpose();
        options.origin = origin.map_err(|error| PyValueError::new_err(error.to_string()))?;
        options.credentials = credentials.map(read_credentials).transpose()?;
        options.ca_file = ca_file;
        Ok(Self(options))
    }

    /// To be started in this process.
    pub(crate) fn of_service(&self) -> ServiceOptions {
        self.0.clone()
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Authorizer of {} by {}>", self.0.api, self.0.issuer)
    }
}

/// A client and the file with its secret, or what gives a token.
fn read_credentials(credentials: &Bound<'_, PyAny>) -> PyResult<ServiceCredentials> {
    if credentials.is_callable() {
        let function = Arc::new(credentials.clone().unbind());
        let give = move || {
            // in a process that ends nobody listens any more
            let courier = Process::courier_here().ok_or("this process has no authorizer")?;
            Ok(courier.ask(&function)?)
        };
        return Ok(ServiceCredentials::Token(Arc::new(give)));
    }
    let Ok((id, secret_file)) = credentials.extract::<(String, PathBuf)>() else {
        let wanted =
            "credentials are a client id and the file with its secret, or a function that gives a token";
        return Err(PyTypeError::new_err(wanted));
    };
    let id = ClientId::parse(&id).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(ServiceCredentials::Client { id, secret_file })
}

/// Why a service does not start, as Python says such things.
pub(crate) fn to_python(error: ServiceError) -> PyErr {
    match error {
        ServiceError::File { .. } | ServiceError::Keep(_) => PyOSError::new_err(error.to_string()),
        other => PyValueError::new_err(other.to_string()),
    }
}
