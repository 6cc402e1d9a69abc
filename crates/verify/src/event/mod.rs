//! What this crate logs, and how events are declared in every crate of jeton.
//!
//! An event is a struct, so a wrong or missing field does not compile. tracing's metadata carry its name: a layer that
//! looks at them sees every event of every crate.

mod declare;

use std::fmt::Display;

use tracing::field::DisplayValue;

pub use declare::DeclaredEvent;

/// A value as it shows itself, made by [`display`](tracing::field::display).
pub type ShownValue<'e> = DisplayValue<&'e dyn Display>;

crate::events! {
    /// No good key set could be fetched from the issuer. The last good set stays in use.
    "jwks.not_fetched" => JwksNotFetched<'e>: warn | debug { url: ShownValue<'e>, error: &'e str };

    /// The key set of the issuer is good again.
    "jwks.fetched" => JwksFetched<'e>: info { url: ShownValue<'e>, keys: usize };

    /// Some keys of the issuer's set cannot verify tokens. Logged when they change.
    "jwks.passed_over" => JwksPassedOver<'e>: warn { url: ShownValue<'e>, keys: &'e str };

    /// A status list could not be fetched. The last good list stays in use.
    "status_list.not_fetched" => StatusListNotFetched<'e>: warn | debug { uri: &'e str, error: ShownValue<'e> };

    /// A service has other policies, or has them again.
    "bundle.fetched" => BundleFetched<'e>: info { api: &'e str, hash: &'e str };

    /// No good bundle of policies came from the issuer. The last good one counts until its `exp`.
    "bundle.not_fetched" => BundleNotFetched<'e>: warn | debug { api: &'e str, error: &'e str };

    /// A service starts with the bundle that it kept.
    "bundle.kept" => BundleKept<'e>: info { api: &'e str, hash: &'e str };

    /// A file of the folder with kept documents is not used.
    "kept.passed_over" => KeptPassedOver<'e>: warn { path: ShownValue<'e>, error: &'e str };

    /// A document could not be kept. It is in use all the same.
    "kept.not_written" => KeptNotWritten<'e>: warn { path: ShownValue<'e>, error: ShownValue<'e> };

    /// The policies were replaced.
    "policies.reloaded" => PoliciesReloaded<'e>: info { new: ShownValue<'e> };

    /// The new policies have errors. The old ones stay in force. One line with the count, then one for each error.
    "policies.rejected" => PoliciesRejected<'e>: error { count: usize, detail: ShownValue<'e> };

    /// A request was decided, whether it came to a service or through a gateway.
    "decision.taken" => DecisionTaken<'e>: trace {
        api: &'e str, rule: Option<&'e str>, client: Option<&'e str>, outcome: &'e str,
    };

    /// A request was denied.
    "decision.denied" => DecisionDenied<'e>: info | error {
        gateway: Option<&'e str>, method: Option<&'e str>, path: Option<&'e str>, reason: &'e str,
        detail: Option<&'e str>, rule: Option<&'e str>, client: Option<&'e str>, jti: Option<&'e str>,
    };

    /// The candidate policies would decide differently.
    "decision.differs" =>
        DecisionDiffers<'e>: warn {
            api: &'e str, method: &'e str, path: &'e str, client: Option<&'e str>, rule: Option<&'e str>,
            candidate_rule: Option<&'e str>, in_force: &'e str, candidate: &'e str, detail: &'e str, count: u64,
        },
        OtherDecisionsDiffer: warn { count: u64 } "for rules and clients without a line of their own";

    /// Decisions are missing from the decision log.
    "decisions.dropped" =>
        DecisionsDropped<'e>: error { path: ShownValue<'e>, dropped: u64 }
            "the disk does not keep up with the decision log",
        LastDecisionsDropped<'e>: error { path: ShownValue<'e>, dropped: u64 }
            "they could not be written before the server stopped";

    /// The decision log cannot be written.
    "decisions.failed" => DecisionsFailed<'e>: error { path: ShownValue<'e>, error: ShownValue<'e> }
        "the decision log cannot be written; the server tries again every second";

    /// The decision log can be written again.
    "decisions.written" => DecisionsWritten<'e>: info { path: ShownValue<'e> } "the decision log can be written again";

    /// The decision log was opened again, because of SIGHUP.
    "decisions.reopened" => DecisionsReopened<'e>: info { path: ShownValue<'e> };

    /// The decision log could not be opened again.
    "decisions.reopen_failed" => DecisionsReopenFailed<'e>: error { path: ShownValue<'e>, error: ShownValue<'e> }
        "the decision log continues in the old file";

    /// Half a line at the end of the decision log was cut off. Its process was killed.
    "decisions.mended" => DecisionsMended<'e>: warn { path: ShownValue<'e> } "the last line was incomplete";
}
