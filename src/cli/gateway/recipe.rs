//! `jeton gateway config`: a configuration made from the template of its kind.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{self, Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use jeton_oauth::text::printable;
use jeton_policy::files::{self, FileError};
use jeton_verify::gateway::IDENTITY_HEADERS;

use super::{
    super::{Outcome, say, settings},
    Address, gateway,
};
use crate::{
    config::{GatewaySettings, NeededFolders, Settings},
    gateway::GatewayKind,
};

#[derive(Args)]
pub(in crate::cli) struct Config {
    /// The gateway's name in the settings, `[gateways.NAME]`.
    name: String,
    /// The address where the gateway will listen.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// The address of the service behind the gateway.
    #[arg(long, value_name = "ADDR")]
    upstream: Address,
    /// The address of jeton, as the gateway reaches it. Default: `server.listen`.
    #[arg(long, value_name = "ADDR")]
    jeton: Option<Address>,
    /// The folder to write to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// A certificate in PEM, with its intermediates: the gateway will listen with TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of `--tls-cert`, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Authorities in PEM: the gateway will ask clients for a certificate of one of them, and take clients without one too.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
}

/// What each kind of gateway needs: files by name, each with its template.
fn templates(kind: GatewayKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        GatewayKind::Nginx => &[("nginx.conf", include_str!("recipes/nginx.conf"))],
        GatewayKind::Caddy => &[("Caddyfile", include_str!("recipes/Caddyfile"))],
        GatewayKind::Haproxy => &[
            ("haproxy.cfg", include_str!("recipes/haproxy.cfg")),
            ("jeton.lua", include_str!("recipes/jeton.lua")),
        ],
        GatewayKind::Envoy => &[("envoy.yaml", include_str!("recipes/envoy.yaml"))],
        GatewayKind::Traefik => &[
            ("traefik.yml", include_str!("recipes/traefik.yml")),
            ("traefik.dynamic.yml", include_str!("recipes/traefik.dynamic.yml")),
        ],
        GatewayKind::Service => &[],
    }
}

impl Config {
    pub(super) fn run(&self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let settings = settings(NeededFolders::Nothing, config)?;
        let gateway = gateway(&settings, &self.name)?;
        if templates(gateway.kind).is_empty() {
            anyhow::bail!(
                "gateway `{}` is a service that asks by itself, so there is no configuration to write: \
                 docs/any-language.md shows the code",
                gateway.name
            );
        }
        let out = path::absolute(&self.out).with_context(|| self.out.display().to_string())?;
        let values = self.values(gateway, &settings, &out)?;
        fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be made", self.out.display()))?;
        for (name, template) in templates(gateway.kind) {
            let path = self.out.join(name);
            write(&path, &render(template, &self.parts(), &values, &identity_headers(gateway)))?;
            say!("{} is written", path.display());
        }
        if gateway.kind == GatewayKind::Haproxy {
            // it takes a key from nowhere else than beside the certificate
            let links = [("tls.pem", &self.tls_cert), ("tls.pem.key", &self.tls_key)];
            for (name, file) in links.iter().filter_map(|(name, file)| Some((name, file.as_ref()?))) {
                let path = self.out.join(name);
                link(&path, &path::absolute(file).with_context(|| file.display().to_string())?)?;
                say!("{} is a link to {}", path.display(), file.display());
            }
        }
        Ok(Outcome::Done)
    }

    /// The parts of a template that stand only sometimes, and do so here: those of `{{if NAME}}`.
    fn parts(&self) -> Vec<&'static str> {
        let (has_tls, has_ca) = (self.tls_cert.is_some(), self.client_ca.is_some());
        let all = [
            ("clear", !has_tls),
            ("tls", has_tls),
            ("tls_alone", has_tls && !has_ca),
            ("client_ca", has_ca),
            ("without_ca", !has_ca),
        ];
        all.into_iter().filter(|(_, stands)| *stands).map(|(name, _)| name).collect()
    }

    /// What stands in the place of each `{{name}}`.
    fn values(
        &self,
        gateway: &GatewaySettings,
        settings: &Settings,
        out: &Path,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let jeton = match &self.jeton {
            Some(jeton) => jeton.clone(),
            None => reachable(settings)?,
        };
        let mut values = vec![("name", gateway.name.to_string()), ("dir", plain(out, "a folder")?)];
        let files =
            [("tls_cert", &self.tls_cert), ("tls_key", &self.tls_key), ("client_ca", &self.client_ca)];
        for (name, file) in files.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?))) {
            let file = path::absolute(file).with_context(|| file.display().to_string())?;
            values.push((name, plain(&file, "a file")?));
        }
        let addresses = [
            (["listen", "listen_host", "listen_port"], &self.listen),
            (["upstream", "upstream_host", "upstream_port"], &self.upstream),
            (["jeton", "jeton_host", "jeton_port"], &jeton),
        ];
        for ([whole, host, port], address) in addresses {
            let bare = address.host.trim_start_matches('[').trim_end_matches(']');
            values.extend([
                (whole, address.to_string()),
                (host, bare.to_owned()),
                (port, address.port.to_string()),
            ]);
        }
        Ok(values)
    }
}

/// A path that configurations of every gateway take as it is.
fn plain(path: &Path, what: &str) -> anyhow::Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    let text = path.to_str().filter(|path| path.bytes().all(allowed)).with_context(|| {
        let path = printable(&path.display().to_string());
        format!("{path}: choose {what} whose name has only letters, digits, `/`, `.`, `_`, `-`, `+` and `@`")
    })?;
    Ok(text.to_owned())
}

/// Where the server listens, as others on this machine reach it.
fn reachable(settings: &Settings) -> anyhow::Result<Address> {
    let mut listen = settings.server.listen;
    if listen.ip().is_unspecified() {
        let loopback =
            if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        listen.set_ip(loopback);
    }
    listen.to_string().parse().map_err(|_| {
        anyhow::anyhow!("`server.listen` has no fixed port: give the address of jeton with `--jeton`")
    })
}

/// The headers of a positive answer, in small letters.
fn identity_headers(gateway: &GatewaySettings) -> Vec<String> {
    let of_claims = gateway.claims.iter().map(|claim| claim.header.clone());
    IDENTITY_HEADERS.iter().map(|&header| header.to_owned()).chain(of_claims).collect()
}

/// Puts values in their places. A line that begins with `{{if NAME}}` stands with that part alone, and one that names
/// a header stands once for each header.
fn render(template: &str, parts: &[&str], values: &[(&'static str, String)], headers: &[String]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    for line in template.lines() {
        let line = match line.strip_prefix("{{if ").and_then(|rest| rest.split_once("}}")) {
            Some((part, _)) if !parts.contains(&part) => continue,
            Some((_, line)) => line,
            None => line,
        };
        let line = values
            .iter()
            .fold(line.to_owned(), |line, (name, value)| line.replace(&format!("{{{{{name}}}}}"), value));
        if ["{{header}}", "{{header_lower}}", "{{variable}}"].iter().any(|name| line.contains(name)) {
            for header in headers {
                let line = line
                    .replace("{{header}}", &in_capitals(header))
                    .replace("{{header_lower}}", header)
                    .replace("{{variable}}", &header.replace('-', "_"));
                text.push_str(&line);
                text.push('\n');
            }
        } else {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// `X-Auth-Client` for `x-auth-client`.
fn in_capitals(header: &str) -> String {
    let mut starts = true;
    let capital = |c: char| {
        let capital = if starts { c.to_ascii_uppercase() } else { c };
        starts = c == '-';
        capital
    };
    header.chars().map(capital).collect()
}

/// Makes a link, in the place of one that was there.
fn link(path: &Path, to: &Path) -> anyhow::Result<()> {
    let new = with_ending(path, ".new");
    let _ = fs::remove_file(&new);
    let made = symlink(to, &new).and_then(|()| fs::rename(&new, path));
    made.with_context(|| format!("{} cannot be made", path.display()))
}

/// Writes a file; one with other content keeps it under another name.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    match files::read(path, text.len() as u64) {
        Ok(before) if before == text.as_bytes() => return Ok(()),
        Ok(_) | Err(FileError::TooLong(_)) => {
            let kept = free_name(path);
            fs::rename(path, &kept).with_context(|| format!("{} cannot be renamed", path.display()))?;
            say!("{} is kept as {}", path.display(), kept.display());
        }
        Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => anyhow::bail!("{} {error}", path.display()),
    }
    // whole or not at all, and never through a link
    let new = with_ending(path, ".new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// A name beside a file that nothing has yet.
fn free_name(path: &Path) -> PathBuf {
    let numbered = (2..u32::MAX).map(|number| format!(".old.{number}"));
    let mut names =
        std::iter::once(".old".to_owned()).chain(numbered).map(|ending| with_ending(path, &ending));
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| with_ending(path, ".old"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::{in_capitals, render, templates};
    use crate::gateway::GatewayKind;

    #[test]
    fn a_line_with_a_header_stands_once_for_each() {
        let values = [("listen", "127.0.0.1:1".to_owned())];
        let headers = ["x-auth-client".to_owned(), "x-auth-claim-tenant-id".to_owned()];
        let template = "{{if clear}}listen {{listen}};\n{{if tls}}listen with TLS;\nset {{header}} ${{variable}};\nend\n";
        let text = render(template, &["clear"], &values, &headers);
        let expected = "listen 127.0.0.1:1;\nset X-Auth-Client $x_auth_client;\n\
            set X-Auth-Claim-Tenant-Id $x_auth_claim_tenant_id;\nend\n";
        assert_eq!(text, expected);
        assert_eq!(in_capitals("x-auth-token-id"), "X-Auth-Token-Id");
    }

    #[test]
    fn templates_name_nothing_that_there_is_not() {
        let names = [
            "name",
            "dir",
            "listen",
            "upstream",
            "jeton",
            "header",
            "header_lower",
            "variable",
            "tls_cert",
            "tls_key",
            "client_ca",
        ];
        let parts = ["clear", "tls", "tls_alone", "client_ca", "without_ca"];
        for kind in GatewayKind::ALL {
            for (file, template) in templates(kind) {
                for place in template.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                    let name = place.trim_end_matches("_host").trim_end_matches("_port");
                    let is_part = place.strip_prefix("if ").is_some_and(|part| parts.contains(&part));
                    assert!(is_part || names.contains(&name), "{file}: {{{{{place}}}}}");
                }
            }
        }
    }
}
