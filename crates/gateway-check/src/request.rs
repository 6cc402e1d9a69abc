//! A request before it is bytes, so that each part of it can be wrong.

use super::{
    mark::{MARK_HEADER, PLACE},
    samples::SampleBearer,
};

#[derive(Clone)]
pub(crate) struct Raw {
    /// Method, target, version.
    pub(crate) line: Vec<u8>,
    pub(crate) host: Vec<String>,
    /// Whole lines.
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) connection: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(host: &str, method: &str, path: impl AsRef<[u8]>) -> Self {
        let line = [method.as_bytes(), b" ", path.as_ref(), b" HTTP/1.1"].concat();
        Self {
            line,
            host: vec![host.to_owned()],
            headers: Vec::new(),
            connection: Some("close".to_owned()),
            body: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, header: impl AsRef<[u8]>) -> Self {
        self.headers.push(header.as_ref().to_vec());
        self
    }

    pub(crate) fn shows(self, bearer: &SampleBearer) -> Self {
        match &bearer.token {
            Some(token) => self.with(format!("Authorization: Bearer {token}")),
            None => self,
        }
    }

    /// As it is sent, but for its number.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.line[..], b"\r\n"].concat();
        for host in &self.host {
            bytes.extend(format!("Host: {host}\r\n").as_bytes());
        }
        bytes.extend(format!("{MARK_HEADER}: {PLACE}\r\n").as_bytes());
        for header in &self.headers {
            bytes.extend([header, &b"\r\n"[..]].concat());
        }
        if let Some(connection) = &self.connection {
            bytes.extend(format!("Connection: {connection}\r\n").as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}
