//! Settings: the defaults, then `jeton.toml`, then the environment, checked as a whole.

mod layers;
mod settings;
mod store;

pub use layers::{SettingError, SettingErrors};
pub use settings::{
    KeySettings, LogFormat, LogSettings, Needs, PolicySettings, ServerSettings, Settings, TokenSettings,
};
pub use store::StoreSettings;
