//! The machines that may fetch tokens, as the files define them.

mod certificate;
mod distinguished_name;
mod registry;
mod secret;

pub use certificate::{
    CertificateField, CertificateHash, CertificateName, CertificateTerms, InvalidCertificateName,
    KnownCertificate, MOST_CERTIFICATES,
};
pub use distinguished_name::{AttributeValue, DistinguishedName, InvalidDistinguishedName};
pub use registry::{
    Abilities, ApiGrant, Client, ClientKind, ClientRegistry, ClientState, GrantedRole, IntrospectedApis,
    MOST_KEYS, MOST_SECRETS,
};
pub use secret::{ClientSecret, DEMO_SECRETS, SecretHash, StoredSecret};
