//! Settings, from the file and the environment: each one that is wrong is named, all at once.
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    process::Command,
};

use jeton::config::Settings;

use crate::{binary::Workplace, support::install_key};

/// Runs a command that reads the settings and no more than it must.
#[track_caller]
fn refused(file: &str, environment: &[(&str, &str)], says: &[&str]) -> String {
    let mut workplace = Workplace::new();
    workplace.write("etc/jeton.toml", &format!("{file}\n[policies]\ndir = \"../policies\"\n"));
    refused_at(&mut workplace, environment, says)
}

/// As above, with `[policies]` in the row.
#[track_caller]
fn refused_whole(file: &str, environment: &[(&str, &str)], says: &[&str]) -> String {
    let mut workplace = Workplace::new();
    workplace.write("etc/jeton.toml", file);
    refused_at(&mut workplace, environment, says)
}

#[track_caller]
fn refused_at(workplace: &mut Workplace, environment: &[(&str, &str)], says: &[&str]) -> String {
    for (variable, value) in environment {
        workplace.set(variable, value);
    }
    let run = workplace.run(&["serve", "--config", "etc/jeton.toml"]).exits(1).says(says);
    assert_eq!(run.stdout, "", "{run:?}");
    run.stderr
}

#[test]
fn each_wrong_setting_of_a_gateway_is_named() {
    for (line, key, says) in [
        ("[gateways.nginx]\napi = \"orders\"", "gateways.nginx", "`trusted_peers` is missing"),
        ("[gateways.nginx]\ntrusted_peers = [\"::1\"]", "gateways.nginx", "names no API"),
        (
            "[gateways.edge]\napi = \"orders\"\ntrusted_peers = [\"::1\"]",
            "gateways.edge",
            "`kind` is missing",
        ),
        ("[gateways.Edge]\nkind = \"nginx\"", "gateways.Edge", "is not the name of a gateway"),
        ("[gateways.nginx]", "gateways.nginx", "names no API"),
        ("[gateways.edge]\nkind = \"apache\"", "gateways.edge.kind", "`apache` is not a kind of gateway"),
        ("[gateways.nginx]\napi = \"a b\"", "gateways.nginx.api", "`a b` is not the name of an API"),
        ("[gateways.nginx]\napi = \"a\"\nhosts = { \"h\" = \"a\" }", "gateways.nginx", "keep one of them"),
        ("[gateways.nginx]\nhosts = {}", "gateways.nginx.hosts", "is empty"),
        (
            "[gateways.nginx]\nhosts = { \"Orders.example.com.\" = \"a\", \"orders.example.com\" = \"b\" }",
            "gateways.nginx.hosts",
            "`Orders.example.com.` and `orders.example.com` are one host",
        ),
        (
            "[gateways.nginx]\nhosts = { \"a.b:80\" = \"a\", \"A.b.:80\" = \"a\" }",
            "gateways.nginx.hosts",
            "are one host",
        ),
        ("[gateways.nginx]\nhosts = { \".\" = \"a\" }", "gateways.nginx.hosts..", "is not a host"),
        ("[gateways.nginx]\nhosts = { \"a b\" = \"a\" }", "gateways.nginx.hosts.a b", "is not a host"),
        (
            "[gateways.nginx]\nhosts = { \"https://h\" = \"a\" }",
            "gateways.nginx.hosts.https://h",
            "is not a host",
        ),
        (
            "[gateways.nginx]\nhosts = { \"orders.example.com:web\" = \"a\" }",
            "gateways.nginx.hosts.orders.example.com:web",
            "is not the host of an address",
        ),
        (
            "[gateways.nginx]\nhosts = { \"h\" = \"a\" }\norigin = \"https://h\"",
            "gateways.nginx.origin",
            "remove it: with `hosts` the origin is",
        ),
        ("[gateways.nginx]\norigin = \"orders.example.com\"", "gateways.nginx.origin", "is no origin: write"),
        (
            "[gateways.nginx]\norigin = \"https://orders.example.com/\"",
            "gateways.nginx.origin",
            "is no origin: write",
        ),
        ("[gateways.nginx]\norigin = \"\"", "gateways.nginx.origin", "is no origin: write"),
        ("[gateways.nginx]\norigins = \"https://h\"", "gateways.nginx.origins", "`gateways.nginx.origin`"),
        ("[gateways.nginx]\ntrusted_peers = []", "gateways.nginx.trusted_peers", "is empty"),
        ("[gateways.nginx]\ntrusted_peers = \"\"", "gateways.nginx.trusted_peers", "is empty"),
        ("[gateways.nginx]\ntrusted_peers = [1]", "gateways.nginx.trusted_peers", "as a list of text"),
        ("[gateways.nginx]\ntrusted_peers = [\"edge\"]", "gateways.nginx.trusted_peers", "is not an address"),
        (
            "[gateways.nginx]\ntrusted_peers = [\"10.1.2.3/8\"]",
            "gateways.nginx.trusted_peers",
            "write `10.0.0.0/8`",
        ),
        ("[gateways.nginx]\nclaims = [\"sub\"]", "gateways.nginx.claims", "is a registered claim"),
        ("[gateways.nginx]\nclaims = [\"a_b\", \"a-b\"]", "gateways.nginx.claims", "would be one header"),
        ("[gateways.nginx]\nclaims = [\"a b\"]", "gateways.nginx.claims", "no header can be named after"),
        (
            "[gateways.nginx]\ntrusted_peer = [\"::1\"]",
            "gateways.nginx.trusted_peer",
            "did you mean `gateways.nginx.trusted_peers`?",
        ),
    ] {
        let stderr = refused(line, &[], &[says]);
        assert!(stderr.contains(&format!("etc/jeton.toml: `{key}`: ")), "{line}: {stderr}");
    }
    let gateway = "[gateways.nginx]\napi = \"orders\"\ntrusted_peers = [\"::1\"]";
    refused(
        &format!("issuer = \"http://127.0.0.1/authz\"\n{gateway}"),
        &[],
        &["`issuer`: ", "reserved for gateways"],
    );
    let stderr = refused("[gateways]", &[], &["policies"]);
    assert!(!stderr.contains("gateways"), "an empty section is none: {stderr}");
    let stderr = refused("", &[("JETON__GATEWAYS__EDGE__KIND", "apache")], &["is not a kind of gateway"]);
    assert!(stderr.contains("JETON__GATEWAYS__EDGE__KIND: "), "{stderr}");
    assert!(stderr.contains("JETON__GATEWAYS__EDGE: names no API"), "{stderr}");
}

#[test]
fn each_wrong_setting_of_the_file_is_named_with_file_and_key() {
    for (line, key, says) in [
        ("issuer = \"\"", "issuer", "is not an issuer"),
        ("issuer = \"tokens.example.com\"", "issuer", "absolute URL"),
        ("issuer = \"ftp://tokens.example.com\"", "issuer", "scheme"),
        ("issuer = \"https://tokens.example.com/\"", "issuer", "slash at the end"),
        ("issuer = \"https://tokens.example.com?x\"", "issuer", "no query"),
        ("issuer = \"https://a:b@tokens.example.com\"", "issuer", "user name"),
        ("issuer = \"https://Tokens.example.com\"", "issuer", "canonical"),
        ("issuer = 8080", "issuer", "in quotes"),
        ("[server]\nlisten = \"8080\"", "server.listen", "`8080` is not an address and port"),
        ("[server]\nlisten = \"localhost:8080\"", "server.listen", "`127.0.0.1:8080`"),
        ("[server]\nlisten = \"127.0.0.1\"", "server.listen", "is not an address and port"),
        ("[server]\nlisten = \"127.0.0.1:99999\"", "server.listen", "is not an address and port"),
        ("[server]\nlisten = 8080", "server.listen", "in quotes"),
        ("[server]\nshutdown_timeout = \"10\"", "server.shutdown_timeout", "`10` is not a duration"),
        ("[server]\nshutdown_timeout = \"ten seconds\"", "server.shutdown_timeout", "`90s`"),
        ("[keys]\nalgorithm = \"HS256\"", "keys.algorithm", "RS256, PS256, ES256 or EdDSA"),
        ("[keys]\nrsa_bits = 1024", "keys.rsa_bits", "2048, 3072 or 4096"),
        ("[keys]\npublish_ahead = \"soon\"", "keys.publish_ahead", "`soon` is not a duration"),
        ("[keys]\npublish_ahead = \"0s\"", "keys.publish_ahead", "before verifiers could fetch it"),
        ("[keys]\nrotate_every = \"30m\"", "keys.rotate_every", "shorter than `keys.publish_ahead`"),
        ("[keys]\npassphrase = \"hunter2\"", "keys.passphrase", "use `keys.passphrase_file`"),
        ("[keys]\npassphrase_file = \"nowhere\"", "keys.passphrase_file", "etc/nowhere` cannot be read"),
        ("[keys]\ngenerate_if_missing = \"yes\"", "keys.generate_if_missing", "`true` or `false`"),
        ("[keys]\ngenerate_if_missing = 1", "keys.generate_if_missing", "`true` or `false`"),
        ("[keys]\ndir = \"nowhere\"\ngenerate_if_missing = false", "keys.dir", "etc/nowhere` does not exist"),
        ("[keys]\ndir = \"jeton.toml\"\ngenerate_if_missing = false", "keys.dir", "is not a folder"),
        ("[tokens]\nttl = \"1.5h\"", "tokens.ttl", "`1.5h` is not a duration"),
        ("[tokens]\nttl = \"0s\"", "tokens.ttl", "more than `0s`"),
        ("[tokens]\nttl = 3600", "tokens.ttl", "in quotes"),
        ("[tokens]\nmax_ttl = \"1w\"", "tokens.max_ttl", "`1w` is not a duration"),
        ("[tokens]\nmax_ttl = \"0h\"", "tokens.max_ttl", "more than `0s`"),
        ("[tokens]\ndpop_nonce = \"on\"", "tokens.dpop_nonce", "write `off` or `required`"),
        ("[tokens]\ndpop_nonce = \"Required\"", "tokens.dpop_nonce", "`Required` is not a rule"),
        ("[tokens]\ndpop_nonce = true", "tokens.dpop_nonce", "in quotes"),
        ("[tokens]\nleeway = \"6m\"", "tokens.leeway", "more than 5 minutes"),
        ("[tokens]\nleeway = \"-1s\"", "tokens.leeway", "is not a duration"),
        ("[tokens]\nrefresh_grace = \"301s\"", "tokens.refresh_grace", "more than 5 minutes"),
        ("[tokens]\nrefresh_grace = 10", "tokens.refresh_grace", "in quotes"),
        ("[tokens]\nrefresh_grace = \"10\"", "tokens.refresh_grace", "is not a duration"),
        ("[store]\nurl = \"redis\"", "store.url", "this is not a URL"),
        ("[store]\nurl = \"127.0.0.1:6379\"", "store.url", "this is not a URL"),
        ("[store]\nurl = \"http://127.0.0.1:6379\"", "store.url", "`redis://HOST:PORT`"),
        ("[store]\nurl = \"valkey://127.0.0.1\"", "store.url", "the scheme is neither `redis` nor `rediss`"),
        (
            "[store]\nurl = \"unix:///run/redis.sock\"",
            "store.url",
            "the scheme is neither `redis` nor `rediss`",
        ),
        ("[store]\nurl = \"redis://\"", "store.url", "there is no host"),
        ("[store]\nurl = \"redis:///1\"", "store.url", "there is no host"),
        ("[store]\nurl = \"redis://127.0.0.1:99999\"", "store.url", "this is not a URL"),
        ("[store]\nurl = \"redis://127.0.0.1/first\"", "store.url", "the number of a database"),
        ("[store]\nurl = \"redis://127.0.0.1?protocol=resp3\"", "store.url", "`?` or `#`"),
        ("[store]\nurl = \"rediss://127.0.0.1/#insecure\"", "store.url", "`?` or `#`"),
        ("[store]\nurl = 6379", "store.url", "in quotes"),
        ("[store]\npassword = \"hunter2\"", "store.password", "use `store.password_file`, or the variable"),
        ("[store]\npassword = \"\"", "store.password", "JETON__STORE__PASSWORD"),
        ("[store]\npassword_file = \"nowhere\"", "store.password_file", "etc/nowhere` cannot be read"),
        ("[store]\npassword_file = \"jeton.toml\"", "store.password_file", "`chmod 600 "),
        (
            "[store]\nurl = \"redis://:p@127.0.0.1\"\npassword_file = \"p\"",
            "store.password_file",
            "keep one of them",
        ),
        ("[store]\nprefix = \"\"", "store.prefix", "1 to 64"),
        ("[store]\nprefix = \"a:b\"", "store.prefix", "`a:b` is not a prefix"),
        ("[store]\nprefix = \"jéton\"", "store.prefix", "letters, digits"),
        ("[store]\nurl = \"redis://h\"\nca_file = \"jeton.toml\"", "store.ca_file", "`rediss://`"),
        ("[store]\nca_file = \"jeton.toml\"", "store.ca_file", "`rediss://`"),
        (
            "[store]\nurl = \"rediss://h\"\nca_file = \"nowhere\"",
            "store.ca_file",
            "etc/nowhere` does not exist",
        ),
        ("[store]\nulr = \"redis://h\"", "store.ulr", "did you mean `store.url`?"),
        ("[log]\nformat = \"xml\"", "log.format", "`pretty` or `json`"),
        ("[log]\nlevel = \"loud\"", "log.level", "error, warn, info, debug or trace"),
        ("[log]\nlevel = \"INFO\"", "log.level", "error, warn, info, debug or trace"),
        ("isuer = \"http://127.0.0.1\"", "isuer", "did you mean `issuer`?"),
        ("[server]\nlistn = \"127.0.0.1:1\"", "server.listn", "did you mean `server.listen`?"),
        ("[tokens]\nttll = \"1h\"", "tokens.ttll", "did you mean `tokens.ttl`?"),
        ("[database]\nurl = \"postgres://\"", "database.url", "unknown setting"),
        ("server = \"127.0.0.1:8080\"", "server", "unknown setting"),
    ] {
        let stderr = refused(line, &[], &[says]);
        assert!(stderr.contains(&format!("etc/jeton.toml: `{key}`: ")), "{line}: {stderr}");
    }
}

/// Each with its key, its value, and what would do.
#[test]
fn a_rate_that_is_none_is_named_with_what_to_write() {
    for (value, says) in [
        ("\"0/m\"", "`0/m` lets nothing through: write `1` or more, or `off`"),
        (
            "\"-1/s\"",
            "`-1/s` is not a rate: write a whole number and `/s`, `/m` or `/h`, such as `30/m`, or `off`",
        ),
        ("\"1/d\"", "`1/d` is not a rate"),
        ("\"1.5/s\"", "`1.5/s` is not a rate"),
        ("\"10 / m\"", "`10 / m` is not a rate"),
        ("\"\"", "`` is not a rate"),
        ("\"OFF\"", "`OFF` is not a rate"),
        ("\"99999999999999999999/h\"", "`99999999999999999999/h` is more than 1000000 at once"),
        ("30", "`30` is not a rate"),
        ("0.5", "`0.5` is not a rate"),
        ("false", "`false` is not a rate"),
        ("true", "`true` is not a rate"),
        ("[\"30/m\"]", "in quotes"),
    ] {
        for key in ["tokens", "introspections", "failures"] {
            let stderr = refused(&format!("[limits]\n{key} = {value}"), &[], &[says]);
            assert!(stderr.contains(&format!("etc/jeton.toml: `limits.{key}`: ")), "{value}: {stderr}");
        }
    }
    refused("[limits]\ntoken = \"1/s\"", &[], &["`limits.token`", "did you mean `limits.tokens`?"]);
    for (value, says) in [
        ("[\"10.1.2.3/8\"]", "write `10.0.0.0/8`"),
        ("[\"\"]", "is not an address"),
        ("[\"127.0.0.1:80\"]", "is not an address"),
        ("[1]", "as a list of text"),
        ("true", "as a list of text"),
    ] {
        let stderr = refused(&format!("[server]\ntrusted_proxies = {value}"), &[], &[says]);
        assert!(stderr.contains("etc/jeton.toml: `server.trusted_proxies`: "), "{value}: {stderr}");
    }
}

#[test]
fn each_wrong_setting_of_the_listeners_is_named() {
    for (line, key, says) in [
        ("[server]\ndrain = \"-1s\"", "server.drain", "is not a duration"),
        ("[server]\ndrain = 5", "server.drain", "in quotes"),
        ("[server.tls]\ncert_file = \"a.pem\"", "server.tls.cert_file", "`server.tls.key_file` is missing"),
        ("[server.tls]\nkey_file = \"a.pem\"", "server.tls.key_file", "`server.tls.cert_file` is missing"),
        ("[server.tls]\ncert_file = 1", "server.tls.cert_file", "in quotes"),
        ("[server.tls]\ncert = \"a.pem\"", "server.tls.cert", "unknown setting"),
        (
            "[admin]\nlisten = \"127.0.0.1:1\"\n[admin.tls]\nkey_file = \"a.pem\"",
            "admin.tls.key_file",
            "`admin.tls.cert_file` is missing",
        ),
        ("[admin.tls]\ncert_file = \"a\"\nkey_file = \"b\"", "admin", "`listen` is missing"),
        ("[admin]", "admin", "`listen` is missing"),
        ("[admin]\nhosts = []", "admin", "`listen` is missing"),
        ("[admin]\nlisten = \"8081\"", "admin.listen", "`8081` is not an address and port"),
        ("[admin]\nlisten = \"127.0.0.1:8080\"", "admin.listen", "is the address of `server.listen` too"),
        ("[admin]\nlisten = \"0.0.0.0:8080\"", "admin.listen", "`server.listen` (`127.0.0.1:8080`)"),
        ("[admin]\nlisten = \"[::]:8080\"", "admin.listen", "choose another port"),
        ("[admin]\nlisten = \"\"\nhosts = [\"a:80\"]", "admin.hosts", "without scheme and port"),
        ("[admin]\nlisten = \"\"\nhosts = [\"*.example.com\"]", "admin.hosts", "is not a name"),
        ("[admin]\nlisten = \"\"\nhosts = [1]", "admin.hosts", "as a list of text"),
        ("[admin]\nlisten = \"\"\nhost = \"a\"", "admin.host", "did you mean `admin.hosts`?"),
        ("[admin]\nlisten = \"\"\nconsole = \"yes\"", "admin.console", "`yes` is neither `on` nor `off`"),
        ("[admin]\nlisten = \"\"\nconsole = \"ON\"", "admin.console", "`ON` is neither `on` nor `off`"),
        ("[admin]\nlisten = \"\"\nconsole = false", "admin.console", "in quotes"),
        ("[admin]\nconsole = \"off\"", "admin", "`listen` is missing"),
        ("[console]\ncompare = 1", "console.compare", "in quotes"),
        ("[console]\ncompare = \"./nowhere\"", "console.compare", "etc/./nowhere` does not exist"),
        ("[console]\ncompare = \"jeton.toml\"", "console.compare", "etc/jeton.toml` is not a folder"),
        (
            "[console]\ncompare = \"--output=x\"",
            "console.compare",
            "is neither a folder nor a revision of Git",
        ),
        ("[console]\ncompare = \"main\\n\"", "console.compare", "is neither a folder nor a revision of Git"),
        ("[console]\ncompared = \"main\"", "console.compared", "did you mean `console.compare`?"),
    ] {
        let stderr = refused(line, &[], &[says]);
        assert!(stderr.contains(&format!("etc/jeton.toml: `{key}`: ")), "{line}: {stderr}");
    }
}

#[test]
fn a_policies_folder_that_is_none_is_named() {
    let origin = "etc/jeton.toml: `policies.dir`: ";
    refused_whole("[policies]\ndir = \"nowhere\"\n", &[], &[origin, "etc/nowhere` does not exist"]);
    refused_whole("[policies]\ndir = \"jeton.toml\"\n", &[], &[origin, "etc/jeton.toml` is not a folder"]);
    refused_whole("[policies]\ndir = 1\n", &[], &[origin, "in quotes"]);
    refused_whole("[policies]\ndir = \"../policies\"\npoll = 2\n", &[], &["`policies.poll`: ", "in quotes"]);
    refused_whole(
        "[policies]\ndir = \"../policies\"\npoll = \"often\"\n",
        &[],
        &["`often` is not a duration"],
    );
    // the default is relative to the file, too
    refused_whole("", &[], &["`policies.dir`: ", "etc/policies` does not exist"]);
}

#[test]
fn each_wrong_setting_of_the_environment_is_named_by_its_variable() {
    for (variable, value, says) in [
        ("JETON__ISSUER", "", "is not an issuer"),
        ("JETON__ISSUER", "tokens.example.com", "absolute URL"),
        ("JETON__SERVER__LISTEN", "0.0.0.0", "is not an address and port"),
        ("JETON__ADMIN__LISTEN", "127.0.0.1:8080", "is the address of `server.listen` too"),
        ("JETON__ADMIN__HOSTS", "a.example, b c", "`b c` is not a name"),
        ("JETON__CONSOLE__COMPARE", "/nowhere", "the folder `/nowhere` does not exist"),
        ("JETON__SERVER__SHUTDOWN_TIMEOUT", "soon", "`soon` is not a duration"),
        ("JETON__KEYS__ALGORITHM", "none", "RS256, PS256, ES256 or EdDSA"),
        ("JETON__KEYS__PASSPHRASE", "", "is empty"),
        ("JETON__KEYS__GENERATE_IF_MISSING", "1", "`true` or `false`"),
        ("JETON__POLICIES__DIR", "nowhere", "the folder `nowhere` does not exist"),
        ("JETON__POLICIES__POLL", "2", "`2` is not a duration"),
        ("JETON__TOKENS__TTL", "0s", "more than `0s`"),
        ("JETON__TOKENS__LEEWAY", "1h", "more than 5 minutes"),
        ("JETON__STORE__URL", "redis:/127.0.0.1", "there is no host"),
        ("JETON__STORE__PASSWORD", "", "is empty"),
        ("JETON__STORE__PASSWORD_FILE", "nowhere", "the file `nowhere` cannot be read"),
        ("JETON__STORE__PREFIX", "a b", "1 to 64"),
        ("JETON__STORE__PASWORD", "x", "did you mean `JETON__STORE__PASSWORD`?"),
        ("JETON__LOG__FORMAT", "JSON", "`pretty` or `json`"),
        ("JETON__LOG__LEVEL", "off", "error, warn, info, debug or trace"),
        ("JETON__SERVER__LISTN", "127.0.0.1:1", "did you mean `JETON__SERVER__LISTEN`?"),
        ("JETON__TOKENS_TTL", "1h", "did you mean `JETON__TOKENS__TTL`?"),
        ("JETON__DATABASE__URL", "postgres://", "unknown setting"),
        ("JETON__LIMITS__FAILURES", "30", "`30` is not a rate"),
        ("JETON__LIMITS__TOKENS", "", "`` is not a rate"),
        ("JETON__LIMITS__INTROSPECTIONS", "false", "`false` is not a rate"),
        ("JETON__LIMITS__FAILURE", "30/m", "did you mean `JETON__LIMITS__FAILURES`?"),
        ("JETON__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, edge", "`edge` is not an address"),
    ] {
        let stderr = refused("", &[(variable, value)], &[says]);
        assert!(stderr.contains(&format!("{variable}: ")), "{variable}={value}: {stderr}");
    }
}

#[test]
fn a_variable_with_one_underscore_is_named_with_its_right_spelling() {
    for (variable, right) in [
        ("JETON_ISSUER", "JETON__ISSUER"),
        ("JETON_SERVER_LISTEN", "JETON__SERVER__LISTEN"),
        ("JETON_SERVER__LISTEN", "JETON__SERVER__LISTEN"),
        ("jeton_keys_rotate_every", "JETON__KEYS__ROTATE_EVERY"),
        ("JETON_STORE_PASSWORD", "JETON__STORE__PASSWORD"),
    ] {
        let stderr = refused("", &[(variable, "hunter2")], &["is ignored", &format!("`{right}`")]);
        assert!(stderr.contains(&format!("{variable}: ")) && !stderr.contains("hunter2"), "{stderr}");
    }
    let gateway = "[gateways.edge]\nkind = \"nginx\"\napi = \"orders\"\ntrusted_peers = [\"::1\"]";
    refused(gateway, &[("JETON_GATEWAYS_EDGE_API", "x")], &["`JETON__GATEWAYS__EDGE__API`"]);
    let mut workplace = Workplace::sample();
    workplace.set("JETON_ISSUER", "https://tokens.example.com");
    workplace.run(&["policies", "check"]).exits(1).says(&["JETON_ISSUER: ", "`JETON__ISSUER`"]);
}

/// As Kubernetes does it for a service of this name, in every pod of its namespace.
#[test]
fn variables_of_others_are_left_alone() {
    let mut workplace = Workplace::sample();
    for (variable, value) in [
        ("JETON_SERVICE_HOST", "10.0.0.1"),
        ("JETON_SERVICE_PORT_HTTP", "8080"),
        ("JETON_PORT", "tcp://10.0.0.1:8080"),
        ("JETON_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("JETON_STORE_SERVICE_HOST", "10.0.0.2"),
        ("JETON", "x"),
        ("JETONISSUER", "x"),
        ("MY_JETON_ISSUER", "x"),
    ] {
        workplace.set(variable, value);
    }
    workplace.run(&["policies", "check"]).exits(0);
}

/// What could be a password is in no error, wherever it stands.
#[test]
fn no_error_shows_the_password_of_the_store() {
    for (file, environment) in [
        ("[store]\npassword = \"hunter2\"", &[] as &[(&str, &str)]),
        ("[store]\nurl = \"redis://:hunter2@h:99999\"", &[]),
        ("[store]\nurl = \"rediss://:hunter2@h/#insecure\"", &[]),
        ("[store]\nurl = \"http://:hunter2@h\"", &[]),
        ("[store]\nurl = \"redis://:hunter2@/0\"", &[]),
        ("[store]\nurl = \"redis://:hunter2@h\"", &[("JETON__STORE__PASSWORD", "hunter2")]),
        ("[store]\npassword_file = \"p\"", &[("JETON__STORE__PASSWORD", "hunter2")]),
        ("[store]\nurl = \"redis://:hunter2@h\"\npassword_file = \"p\"", &[]),
    ] {
        let stderr = refused(file, environment, &["`store."]);
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn the_password_of_the_store_is_read_from_its_file_without_the_newline() {
    for (text, password) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" h 2 \n\n", " h 2 \n"),
    ] {
        let workplace = Workplace::new();
        workplace.write("jeton.toml", "[keys]\n[store]\nurl = \"redis://u@h\"\npassword_file = \"p\"\n");
        workplace.write("p", text);
        set_mode(&workplace.path("p"), 0o600);
        let settings = Settings::load(Some(&workplace.path("jeton.toml"))).unwrap();
        assert_eq!(settings.store.password.as_ref().unwrap().as_str(), password);
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("redis://h") && !shown.contains("h 2") && !shown.contains("hunter2"),
            "{shown}"
        );
        assert!(!shown.contains("u@"), "{shown}");
    }
}

#[test]
fn a_password_file_that_others_read_or_that_is_empty_is_refused() {
    for (mode, text, says) in [
        (0o644, "hunter2", "is readable by everyone"),
        (0o640, "hunter2", "is readable by its group"),
        (0o600, "\n", "is empty"),
    ] {
        let mut workplace = Workplace::new();
        workplace
            .write("etc/jeton.toml", "[policies]\ndir = \"../policies\"\n[store]\npassword_file = \"p\"\n");
        workplace.write("etc/p", text);
        set_mode(&workplace.path("etc/p"), mode);
        let stderr = refused_at(&mut workplace, &[], &["`store.password_file`: the file `etc/p` ", says]);
        assert!(!stderr.contains("hunter2"), "{stderr}");
        // a command that does not need the store does not ask for its password
        workplace.run(&["keys", "list", "--config", "etc/jeton.toml"]).exits(1).says(&["there is no key"]);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The name by which the operator set it, and not a part of it.
#[test]
fn a_variable_that_is_no_text_is_named_as_it_was_set() {
    let name = OsStr::from_bytes(b"127.0.0.1:\xff");
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    let workplace = Workplace::new();
    let output = command
        .args(["keys", "list"])
        .current_dir(workplace.path(""))
        .env("JETON__SERVER__LISTEN", name)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("JETON__SERVER__LISTEN"), "{stderr}");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let stderr = refused_whole(
        "isuer = \"x\"\nissuer = \"x\"\n[server]\nlisten = \"x\"\n[tokens]\nttl = \"x\"\n[policies]\ndir = \"x\"\n",
        &[("JETON__LOG__LEVEL", "x"), ("JETON__LOG__FORMT", "json"), ("JETON__TOKENS__MAX_TTL", "x")],
        &[
            "8 errors",
            "etc/jeton.toml: `isuer`: ",
            "etc/jeton.toml: `issuer`: ",
            "etc/jeton.toml: `server.listen`: ",
            "etc/jeton.toml: `tokens.ttl`: ",
            "etc/jeton.toml: `policies.dir`: ",
            "JETON__LOG__LEVEL: ",
            "JETON__LOG__FORMT: ",
            "JETON__TOKENS__MAX_TTL: ",
        ],
    );
    assert_eq!(stderr.lines().count(), 9, "{stderr}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let workplace = Workplace::new();
    workplace.run(&["keys", "list", "--config", "nowhere.toml"]).exits(1).says(&["nowhere.toml"]);
    workplace.run(&["keys", "list", "--config", "policies"]).exits(1).says(&["policies"]);
    workplace.write("bad.toml", "[server\nlisten = \"127.0.0.1:1\"\n");
    workplace.run(&["keys", "list", "--config", "bad.toml"]).exits(1).says(&["bad.toml", "1"]);
    workplace.write("twice.toml", "issuer = \"http://127.0.0.1\"\nissuer = \"http://127.0.0.2\"\n");
    workplace.run(&["keys", "list", "--config", "twice.toml"]).exits(1).says(&["twice.toml", "duplicate"]);
}

#[test]
fn a_ttl_over_max_ttl_is_named_with_where_it_stands() {
    let file = "[tokens]\nttl = \"2h\"\nmax_ttl = \"1h\"";
    refused(file, &[], &["etc/jeton.toml: `tokens.ttl`: ", "is longer than `tokens.max_ttl`"]);
    // against a default
    refused(
        "[tokens]\nttl = \"25h\"",
        &[],
        &["etc/jeton.toml: `tokens.ttl`: ", "is longer than `tokens.max_ttl`"],
    );
    refused("", &[("JETON__TOKENS__TTL", "25h")], &["JETON__TOKENS__TTL: ", "is longer than"]);
}

/// An unknown key is an error (DESIGN.md, section 2), a section without keys too: what stands below its
/// name in comments is not in force, and nobody would know.
#[test]
fn an_unknown_section_is_refused_when_it_is_empty() {
    refused("[sever]\n# listen = \"0.0.0.0:8080\"", &[], &["sever"]);
}

/// The key folder in force, as the error of `keys list` names it.
#[track_caller]
fn key_folder(workplace: &Workplace, arguments: &[&str], expected: &str) {
    let run = workplace.run(&[&["keys", "list"], arguments].concat()).exits(1);
    assert!(run.stderr.contains(&format!("error: {expected}: ")), "{expected} is not in force: {run:?}");
}

#[test]
fn the_environment_is_before_the_file_is_before_the_defaults() {
    let mut workplace = Workplace::new();
    key_folder(&workplace, &[], "keys");
    workplace.write("jeton.toml", "[keys]\ndir = \"of-the-file\"\n");
    key_folder(&workplace, &[], "of-the-file");
    workplace.write("other.toml", "[keys]\ndir = \"of-the-other-file\"\n");
    key_folder(&workplace, &["--config", "other.toml"], "of-the-other-file");
    workplace.set("JETON__KEYS__DIR", "of-the-environment");
    key_folder(&workplace, &[], "of-the-environment");
    key_folder(&workplace, &["--config", "other.toml"], "of-the-environment");
}

/// What the file has is not looked at where the environment has something else.
#[test]
fn a_wrong_setting_that_is_overridden_does_not_count() {
    let mut workplace = Workplace::new();
    workplace
        .write("jeton.toml", "[keys]\ndir = \"k\"\n[policies]\ndir = \"nowhere\"\n[tokens]\nttl = \"99h\"\n");
    workplace.run(&["serve"]).exits(1).says(&["2 errors"]);
    workplace.set("JETON__POLICIES__DIR", "policies").set("JETON__TOKENS__TTL", "1h");
    key_folder(&workplace, &[], "k");
}

#[test]
fn a_relative_path_is_relative_to_where_it_stands() {
    let mut workplace = Workplace::new();
    workplace.write("etc/jeton/jeton.toml", "[keys]\ndir = \"k\"\n[policies]\ndir = \"../../policies\"\n");
    let config = ["--config", "etc/jeton/jeton.toml"];
    key_folder(&workplace, &config, "etc/jeton/k");
    install_key("test-only-signing.pem", &workplace.path("etc/jeton/k"));
    workplace.run(&["keys", "list", config[0], config[1]]).exits(0).shows(&["active"]);
    // in the environment it is relative to the working directory
    workplace.set("JETON__KEYS__DIR", "k");
    key_folder(&workplace, &config, "k");
    install_key("test-only-signing.pem", &workplace.path("k"));
    workplace.run(&["keys", "list", config[0], config[1]]).exits(0).shows(&["active"]);
}

#[test]
fn an_absolute_path_stays_as_it_is() {
    let workplace = Workplace::new();
    let keys = workplace.path("elsewhere");
    let policies = workplace.path("policies");
    let file = format!("[keys]\ndir = {keys:?}\n[policies]\ndir = {policies:?}\n");
    workplace.write("etc/jeton.toml", &file);
    key_folder(&workplace, &["--config", "etc/jeton.toml"], keys.to_str().unwrap());
}

#[test]
fn the_file_of_the_source_tree_holds_the_defaults() {
    let workplace = Workplace::new();
    install_key("test-only-signing.pem", &workplace.path("keys"));
    let without = workplace.run(&["keys", "list"]).exits(0);
    workplace
        .write("jeton.toml", &std::fs::read_to_string(crate::support::root().join("jeton.toml")).unwrap());
    let with = workplace.run(&["keys", "list"]).exits(0);
    assert_eq!(with.stdout, without.stdout);
}
