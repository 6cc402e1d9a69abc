//! The command line: one file for each command. Results go to standard output, everything else to
//! standard error.

mod arguments;
mod clients;
mod completions;
mod config;
mod consent;
mod decisions;
mod files;
mod first_token;
mod gateway;
mod health;
mod init;
mod keys;
mod log_lines;
mod man;
mod memory;
mod output;
mod policies;
mod progress;
mod serve;
mod table;
mod token;
mod welcome;

use std::{
    panic,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use jeton_policy::{DemoSecrets, Surroundings};

use self::output::{emit, emit_file, emit_json, emit_styled, json, say};
use crate::{
    app,
    config::{NeededFolders, Settings},
    console,
};

/// A stateless token service: scopes in claims, policies in a folder, no database.
#[derive(Parser)]
#[command(name = "jeton", version, max_term_width = 100)]
struct Args {
    /// The settings file. Default: `jeton.toml` in the working directory, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a first folder: settings, policies with one API and one client, and a place for keys.
    Init {
        /// The folder. Default: the working directory.
        dir: Option<PathBuf>,
    },
    /// Run the service.
    Serve,
    /// Make, list, rotate and end signing keys.
    #[command(subcommand)]
    Keys(keys::KeyCommand),
    /// Add, rotate and revoke clients in the policy files.
    #[command(subcommand)]
    Clients(clients::ClientCommand),
    /// Check, test, explain and compare the policy files.
    #[command(subcommand)]
    Policies(policies::PolicyCommand),
    /// Inspect and revoke tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show the decisions of a decision log.
    Decisions(decisions::Decisions),
    /// Configure and attack gateways that ask jeton about each request.
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    /// Show the settings, and what is wrong with them.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check that the running service answers, for container health checks.
    Health,
    /// Print what completes the commands in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write a manual page for each command.
    Man {
        /// The folder, which is made if it is not there.
        dir: PathBuf,
    },
}

/// What the process says to the shell: 0 for done, allowed, no difference; 1 for failed; 2 for wrong
/// usage (by clap); 3 when the answer is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Failed,
    No,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Failed => Self::from(1),
            Outcome::No => Self::from(3),
        }
    }
}

/// Reads the arguments, runs the command, and says how it ended.
pub fn run() -> ExitCode {
    panic::set_hook(Box::new(output::say_panic));
    // before anything is read that may be secret, the arguments included
    if let Err(error) = memory::keep_private() {
        say!("warning: core dumps are not turned off: {error}");
    }
    // a server starts itself so, and nobody else does
    if std::env::args_os().nth(1).is_some_and(|first| first == console::TRIAL_ARGUMENT) {
        return console::answer_standard_input();
    }
    let Args { config, command } = Args::try_parse().unwrap_or_else(|error| output::say_usage(&error));
    let config = config.as_deref();
    let outcome = match command {
        Command::Init { dir } => init::run(dir, config),
        Command::Serve => serve::run(config),
        Command::Keys(command) => keys::run(&command, config),
        Command::Clients(command) => clients::run(command, config),
        Command::Policies(command) => policies::run(command, config),
        Command::Token(command) => token::run(command, config),
        Command::Decisions(command) => command.run(),
        Command::Gateway(command) => gateway::run(&command, config),
        Command::Config(command) => config::run(&command, config),
        Command::Health => health::run(config),
        Command::Completions { shell } => completions::run(shell, Args::command()),
        Command::Man { dir } => man::run(&dir, Args::command()),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output::say_error(&error);
            Outcome::Failed.into()
        }
    }
}

fn settings(needs: NeededFolders, config: Option<&Path>) -> anyhow::Result<Settings> {
    let settings = Settings::load_for(needs, config).map_err(|errors| {
        let place = match errors.0.len() {
            1 => "in the settings".to_owned(),
            count => format!("{count} errors in the settings"),
        };
        anyhow::Error::new(errors).context(place)
    })?;
    // a service has a log for them
    if needs != NeededFolders::Everything {
        for warning in &settings.warnings {
            say!("warning: in the settings: {warning}");
        }
    }
    Ok(settings)
}

/// What policies are checked against on the command line.
fn surroundings(settings: &Settings, demo_secrets: DemoSecrets) -> Surroundings {
    Surroundings { demo_secrets, ..app::surroundings(settings) }
}
