//! Settings: the defaults, then `jeton.toml`, then the environment, checked as a whole.

mod gateways;
mod keys;
mod layers;
mod secret_file;
mod settings;
mod store;

pub use gateways::{GatewayApis, GatewaySettings};
pub use keys::KeySettings;
pub use layers::{SettingError, SettingErrors};
pub use settings::{LogFormat, LogSettings, Needs, PolicySettings, ServerSettings, Settings, TokenSettings};
pub use store::StoreSettings;
