//! The service from outside: through a real socket, the real binary and the real files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test may stop at the first surprise, in its helpers too"
)]

mod support;

mod addresses;
mod admin;
mod answers;
mod architecture;
mod authz;
mod authz_possession;
mod authzen;
mod authzen_interop;
mod authzen_search;
mod binary;
mod bound_tokens;
mod bounded_files;
mod bundles;

mod certificate_bound;
mod client_assertions;
mod client_certificates;
mod client_listener;
mod client_requests;
mod clients_certificates;
mod clients_commands;
mod clients_list;
mod clients_rotate;
mod commands;
mod completions;
mod config_check;
mod connections;
mod console_data;
mod console_guard;
mod console_page;
mod core_dumps;
mod decision_log;
mod decision_table;
mod decisions;
mod discovery;
mod dpop;
mod dpop_nonces;
mod dpop_proof;
mod dpop_proofs;
mod ended_tokens;
mod ending;
mod explain;
mod failed_starts;
mod federation_addresses;
mod federation_attacks;
mod federation_bound;
mod federation_commands;
mod federation_files;
mod federation_grants;
mod federation_keys;
mod federation_shapes;
mod federation_verdicts;
mod followed_bundles;
mod gateway_check;
mod gateway_commands;
mod init;
mod jwks_source;
mod jwks_trusted;
mod kept_bundles;
mod key_advice;
mod key_files;
mod key_rotation;
mod key_sets;
mod key_year;
mod keyring_text;
mod keys_commands;
mod limits;
mod live_keys;
mod log_lines;
mod log_unwritable;
mod logged_names;
mod many_findings;
mod metrics;
mod metrics_state;
mod needed_apis;
mod odd_files;
mod on_a_terminal;
mod own_api;
mod policies_commands;
mod policies_diff;
mod policies_diff_git;
mod policies_diff_many;
mod policies_import;
mod policies_matrix;
mod policy_links;
#[path = "../../crates/policy/tests/it/policy_text.rs"]
mod policy_text;
mod possession;
mod possession_own_api;
mod printed_names;
mod protected;
mod real_causes;
mod refresh_grace;
mod refresh_tokens;
mod reload;
mod reload_cases;
mod reload_faults;
mod reload_order;
mod reload_told;
mod reload_volumes;
mod reload_warnings;
mod replay;
mod replay_command;
mod resource_metadata;
mod revoke_commands;
mod rfc_vectors;
mod root;
mod routed_path;
mod schema;
mod seen_proofs;
mod seen_tokens;
mod served_bundles;
mod server;
mod services;
mod settings;
mod shadow;
mod shared_store;
mod smoke;
mod status_fetched;
mod status_lists;
mod store_options;
mod store_servers;
mod tls;
mod tls_files;
mod token_attacks;
mod token_endpoint;
mod token_error_order;
mod token_exchange;
mod token_reuse;
mod token_targets;
mod traces;
mod typed_claims;
mod unsound_keys;
mod watched;
mod written_times;
