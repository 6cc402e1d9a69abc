//! Settings: the defaults, then `jeton.toml`, then the environment, checked as a whole.

mod gateways;
mod keys;
mod layers;
mod limits;
mod needs;
mod secret_file;
mod settings;
mod store;
mod values;

pub use gateways::{GatewayApis, GatewaySettings};
pub use keys::KeySettings;
pub use layers::{SettingError, SettingErrors};
pub use limits::LimitSettings;
pub use needs::NeededFolders;
pub use settings::{LogFormat, LogSettings, PolicySettings, ServerSettings, Settings, TokenSettings};
pub use store::StoreSettings;
