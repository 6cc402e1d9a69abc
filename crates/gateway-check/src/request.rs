//! A request before it is bytes, so that each part of it can be wrong.

use std::sync::Arc;

use super::{
    mark::{MARK_HEADER, PLACE},
    proofs::{PlannedProof, ProofOf, ProofSignature},
    samples::SampleBearer,
};

#[derive(Clone)]
pub(crate) struct Raw {
    method: String,
    path: String,
    /// Method, target, version.
    pub(crate) line: Vec<u8>,
    pub(crate) host: Vec<String>,
    /// Whole lines.
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) connection: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Proofs whose places stand in it.
    pub(crate) proofs: Vec<Arc<PlannedProof>>,
}

impl Raw {
    pub(crate) fn new(host: &str, method: &str, path: impl AsRef<[u8]>) -> Self {
        let line = [method.as_bytes(), b" ", path.as_ref(), b" HTTP/1.1"].concat();
        Self {
            method: method.to_owned(),
            path: String::from_utf8_lossy(path.as_ref()).into_owned(),
            line,
            host: vec![host.to_owned()],
            headers: Vec::new(),
            connection: Some("close".to_owned()),
            body: Vec::new(),
            proofs: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, header: impl AsRef<[u8]>) -> Self {
        self.headers.push(header.as_ref().to_vec());
        self
    }

    /// With a `DPoP` header.
    pub(crate) fn proves(mut self, proof: Arc<PlannedProof>) -> Self {
        self.headers.push(format!("DPoP: {}", proof.place()).into_bytes());
        self.proofs.push(proof);
        self
    }

    /// With the token of this bearer, and if it is bound to a key, with a proof for this request at `origin`.
    pub(crate) fn shows(self, bearer: &SampleBearer, origin: Option<&str>) -> Self {
        let Some(token) = bearer.token.as_deref() else { return self };
        let Some(key) = &bearer.key else { return self.with(format!("Authorization: Bearer {token}")) };
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        // of a target in absolute form, what stands behind the host
        let path = path.split_once("://").and_then(|(_, rest)| rest.get(rest.find('/')?..)).unwrap_or(path);
        let proof = key.plan(&ProofOf {
            method: &self.method,
            address: &format!("{}{path}", origin.unwrap_or_default()),
            token: Some(token),
            age: 0,
            signature: ProofSignature::Sound,
        });
        self.with(format!("Authorization: DPoP {token}")).proves(proof)
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
