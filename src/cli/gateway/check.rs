//! `jeton gateway check`: the attack table through a running gateway, judged by what the upstream saw.

use std::{collections::BTreeMap, ffi::OsStr, net::TcpListener, path::Path, sync::Arc};

use anyhow::Context;
use clap::{Arg, Args, builder::TypedValueParser, error::ErrorKind};
use futures_util::FutureExt;
use jeton_gateway_check::{
    CheckError, CheckVerdict, CheckedGateway, GatewayAddress, GatewayCheck, TOKEN_TTL, TokenMint,
};
use jeton_oauth::{
    ApiName, Issuer, TokenId,
    clock::{Clock, SystemClock},
};
use jeton_policy::{DemoSecrets, PolicySet, PolicySources, ProtectedApi};
use serde_json::{Map, Value};
use url::Url;

use super::{
    super::{Outcome, emit, progress::Progress, say, settings, surroundings},
    Address, gateway,
};
use crate::{
    app::key_keeper,
    config::{GatewayApis, GatewaySettings, NeededFolders, Settings},
    grant::random_id,
    keys::KeyRing,
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// The URL of the gateway: `http://HOST:PORT`.
    #[arg(value_parser = GatewayUrl)]
    url: Url,
    /// The gateway's name in the settings, `[gateways.NAME]`.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The address of the gateway's upstream. This command listens there in place of the upstream.
    #[arg(long, value_name = "ADDR")]
    echo: Address,
}

impl Check {
    pub(super) fn run(&self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let settings = settings(NeededFolders::Everything, config)?;
        let gateway = gateway(&settings, &self.gateway)?;
        let target = GatewayAddress::of(&self.url)?;
        let policies = policies(&settings)?;
        let checked = CheckedGateway {
            apis: apis(gateway, &policies, target.host())?,
            by_host: matches!(gateway.apis, GatewayApis::ByHost(_)),
            origins: origins(gateway, target.host()),
            certificate_header: gateway.kind.certificate_header().name,
            claims: &gateway.claims,
        };
        let mint = Mint { ring: ring(&settings)?, issuer: &settings.issuer };
        let check = GatewayCheck::plan(&policies, &checked, &mint)?;
        let listener = TcpListener::bind(self.echo.to_string()).with_context(|| {
            format!("{} cannot be listened on: stop the upstream itself first", self.echo)
        })?;
        let token_ids: Vec<_> = check.token_ids().map(TokenId::as_str).collect();
        say!(
            "{} tokens were made for this check; they end within {} minutes: {}",
            token_ids.len(),
            TOKEN_TTL / 60,
            token_ids.join(", ")
        );
        let progress = Progress::start("attacking the gateway");
        let mut tell = |done, of| progress.at(counted(done), counted(of));
        let report = check.run(self.title(gateway, &checked), &target, listener, &mut tell)?;
        drop(progress);
        emit(&report.text())?;
        Ok(match report.verdict() {
            CheckVerdict::Sound => Outcome::Done,
            CheckVerdict::Holes => Outcome::No,
            CheckVerdict::NotWhole => Outcome::Failed,
        })
    }

    fn title(&self, gateway: &GatewaySettings, checked: &CheckedGateway<'_>) -> String {
        let apis: Vec<_> = checked
            .apis
            .iter()
            .map(|(host, api)| {
                let at = if checked.by_host { format!(" at {host}") } else { String::new() };
                format!("API `{}`{at}", api.name())
            })
            .collect();
        let url = self.url.as_str().trim_end_matches('/');
        format!("gateway {} ({}) at {url}: {}", gateway.name, gateway.kind.name(), apis.join(", "))
    }
}

/// The API at each host; where it does not depend on the host, one for the host of the URL.
fn apis<'p>(
    gateway: &GatewaySettings,
    policies: &'p PolicySet,
    own_host: &str,
) -> anyhow::Result<BTreeMap<String, &'p ProtectedApi>> {
    let find = |host: &str, api: &ApiName| {
        let found = policies.api(api.as_str());
        Ok((host.to_owned(), found.with_context(|| format!("the policies have no API `{api}`"))?))
    };
    match &gateway.apis {
        GatewayApis::One { api, .. } => Ok(BTreeMap::from([find(own_host, api)?])),
        GatewayApis::ByHost(hosts) => {
            hosts.iter().map(|(host, hosted)| find(host.as_str(), &hosted.api)).collect()
        }
    }
}

/// The origin at each host of [`apis`], where there is one.
fn origins(gateway: &GatewaySettings, own_host: &str) -> BTreeMap<String, String> {
    match &gateway.apis {
        GatewayApis::One { origin, .. } => {
            origin.iter().map(|origin| (own_host.to_owned(), origin.to_string())).collect()
        }
        GatewayApis::ByHost(hosts) => {
            hosts.iter().map(|(host, hosted)| (host.to_string(), hosted.origin.to_string())).collect()
        }
    }
}

fn policies(settings: &Settings) -> anyhow::Result<PolicySet> {
    let surroundings = surroundings(settings, DemoSecrets::Allowed);
    let sources = PolicySources::read(&settings.policies.dir);
    let compiled = sources.and_then(|sources| PolicySet::compile(&sources, &surroundings, SystemClock.now()));
    compiled.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))
}

fn ring(settings: &Settings) -> anyhow::Result<KeyRing> {
    let keeper = key_keeper(settings, Arc::new(SystemClock));
    let keys =
        keeper.folder().load().context("the service makes its key at its first start: is it running?")?;
    Ok(keys.at(SystemClock.now(), keeper.terms()))
}

/// Makes tokens with the key that signs those of the service.
struct Mint<'s> {
    ring: KeyRing,
    issuer: &'s Issuer,
}

impl TokenMint for Mint<'_> {
    fn issuer(&self) -> &Issuer {
        self.issuer
    }

    fn now(&self) -> i64 {
        SystemClock.numeric_date()
    }

    fn token_id(&self) -> Result<TokenId, CheckError> {
        random_id().map_err(|error| CheckError::Mint(Box::new(error)))
    }

    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, CheckError> {
        let signed = self.ring.signing().sign(typ, claims).now_or_never();
        let signed = signed.ok_or_else(|| CheckError::Mint("the key does not sign at once".into()))?;
        signed.map_err(|error| CheckError::Mint(Box::new(error)))
    }
}

/// Takes `http://HOST:PORT`, and nothing behind it. What it refuses it does not print, which clap would do.
#[derive(Clone)]
pub(super) struct GatewayUrl;

impl TypedValueParser for GatewayUrl {
    type Value = Url;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, text: &OsStr) -> Result<Url, clap::Error> {
        let url = text.to_str().and_then(|text| Url::parse(text).ok());
        let is_alone = |url: &Url| {
            let has_user = !url.username().is_empty() || url.password().is_some();
            !has_user && matches!(url.path(), "" | "/") && url.query().or(url.fragment()).is_none()
        };
        url.filter(is_alone).ok_or_else(|| {
            let message = "invalid value for '<URL>': write only http://HOST:PORT: the paths to try are in the policies\n";
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

fn counted(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
