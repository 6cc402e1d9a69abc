//! Settings: the defaults, then `jeton.toml`, then the environment, checked as a whole.

mod admin;
mod client_certificates;
mod console;
mod effective;
mod federation;
mod gateways;
mod keys;
mod layers;
mod limits;
mod log;
mod needs;
mod secret_file;
mod server;
mod settings;
mod store;
mod tls;
mod traces;
mod values;

pub use admin::{AdminSettings, ConsoleState, ListenerHost};
pub use client_certificates::ClientCertificateSettings;
pub use console::{ComparedPolicies, ConsoleSettings};
pub use effective::{CheckedSettings, EffectiveSetting, SettingSource};
pub use federation::{FederationSettings, FetchSettings};
pub use gateways::{GatewayApis, GatewaySettings, HostedApi};
pub use keys::KeySettings;
pub(crate) use layers::DEFAULTS;
pub use layers::{SettingError, SettingErrors};
pub use limits::LimitSettings;
pub use log::{LogFormat, LogSettings};
pub use needs::NeededFolders;
pub use server::ServerSettings;
pub use settings::{DpopNonce, PolicySettings, Settings, TokenSettings};
pub use store::StoreSettings;
pub use tls::TlsSettings;
pub use traces::{TraceSampler, TraceSettings};
