//! What everything is compared with: a signature alone, and a server that does nothing else.

use std::{fs, path::Path, process::Command, rc::Rc};

use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{core, process};

/// About as long as what is signed of a token.
const MESSAGE: [u8; 600] = [b'x'; 600];

/// CPU nanoseconds of the raw operations of aws-lc-rs with an RSA-2048 key.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) signature: f64,
    pub(crate) verification: f64,
}

impl Raw {
    /// Between one measurement and another.
    pub(crate) fn mean(self, other: Self) -> Self {
        Self {
            signature: f64::midpoint(self.signature, other.signature),
            verification: f64::midpoint(self.verification, other.verification),
        }
    }
}

/// Measures so many of each on the servers' core.
pub(crate) fn measure_raw(calls: usize) -> Raw {
    let output = core::pinned(core::CORE, std::env::current_exe().unwrap())
        .args(["raw", &calls.to_string()])
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let (signature, verification) = output.trim().split_once(' ').unwrap();
    Raw { signature: signature.parse().unwrap(), verification: verification.parse().unwrap() }
}

/// Prints the nanoseconds of a signature and of a verification; the whole program of that measurement.
pub(crate) fn print_raw(calls: usize) {
    let (pair, random) = (key(&signing_key()), SystemRandom::new());
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
    let mut signature = [0; 256];
    let mut sign = || pair.sign(&RSA_PKCS1_SHA256, &random, &MESSAGE, &mut signature).unwrap();
    nanos_of(calls / 10, &mut sign);
    let signed = nanos_of(calls, sign);
    let verified = nanos_of(calls, || public.verify(&MESSAGE, &signature).unwrap());
    println!("{signed} {verified}");
}

fn nanos_of(calls: usize, mut work: impl FnMut()) -> f64 {
    let start = process::cpu_nanos("self");
    for _ in 0..calls {
        work();
    }
    (process::cpu_nanos("self") - start) / calls as f64
}

/// The command of [`serve_bare`].
pub(crate) fn bare_command(port: u16) -> Command {
    let mut command = core::pinned(core::CORE, std::env::current_exe().unwrap());
    command.args(["bare", &port.to_string()]);
    command
}

/// Signs for each request, and does nothing else: one key for each worker, no log.
pub(crate) fn serve_bare(port: u16) {
    let app = || {
        let signer = Rc::new((key(&signing_key()), SystemRandom::new()));
        let sign = move || {
            let signer = signer.clone();
            async move {
                let mut signature = [0; 256];
                signer.0.sign(&RSA_PKCS1_SHA256, &signer.1, &MESSAGE, &mut signature).unwrap();
                HttpResponse::Ok().body(BASE64_URL_SAFE_NO_PAD.encode(signature))
            }
        };
        App::new().route("/", web::get().to(sign))
    };
    let server = HttpServer::new(app).bind(("127.0.0.1", port)).unwrap().run();
    actix_web::rt::System::new().block_on(server).unwrap();
}

/// With which every server here signs.
pub(crate) fn signing_key() -> std::path::PathBuf {
    fixture("test-only-signing.pem")
}

pub(crate) fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

pub(crate) fn key(file: &Path) -> RsaKeyPair {
    let der = pem::parse(fs::read(file).unwrap()).unwrap();
    RsaKeyPair::from_pkcs8(der.contents()).unwrap()
}
