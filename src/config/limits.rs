//! `[limits]`.

use jeton_oauth::RateLimit;

use super::layers::Layers;

/// `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Token requests of a client that has no limit of its own.
    pub tokens: RateLimit,
    /// Introspections of a client.
    pub introspections: RateLimit,
    /// Failed authentications of an address.
    pub failures: RateLimit,
}

impl LimitSettings {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let mut rate = |key| {
            layers.scalar(key, |text| {
                RateLimit::parse(text).map_err(|error| format!("{error}: {}", error.hint()))
            })
        };
        let (tokens, introspections, failures) =
            (rate("limits.tokens"), rate("limits.introspections"), rate("limits.failures"));
        Some(Self { tokens: tokens?, introspections: introspections?, failures: failures? })
    }
}
