//! The log, where it cannot be written.
use std::{fs, process::Stdio, time::Duration};

use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time,
};

use crate::{
    binary::Workplace,
    support::{
        http_client,
        program::{Binary, PATIENCE},
    },
};

/// Sends what is logged at several levels.
async fn is_answered(address: &str) {
    let http = http_client();
    for _ in 0..50 {
        let form = [("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "x")];
        let refused = http.post(format!("http://{address}/oauth2/token")).form(&form).send().await.unwrap();
        // over the rate of failed attempts with the second answer, which has a log line too
        assert!(matches!(refused.status().as_u16(), 401 | 429), "{}", refused.status());
        let healthy = http.get(format!("http://{address}/healthz")).send().await.unwrap();
        assert_eq!(healthy.status(), 200);
    }
}

#[actix_web::test]
async fn a_server_answers_where_nobody_reads_its_log() {
    let (mut child, address, dir) = Binary::serve().await.unread();
    is_answered(&address).await;
    // a reload has lines of its own
    fs::write(dir.path().join("policies/broken.yaml"), "version: [").unwrap();
    signal(&child, "HUP").await;
    is_answered(&address).await;
    ends_well(&mut child).await;
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
}

/// Nothing panicked, and nothing waits for ever.
async fn ends_well(child: &mut Child) {
    signal(child, "TERM").await;
    let status = time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[actix_web::test]
async fn a_server_answers_where_the_disk_is_full_under_its_log() {
    // nothing says where it listens
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    for format in ["json", "pretty"] {
        let workplace = Workplace::sample();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        command.arg("serve").current_dir(workplace.path("")).env("JETON__SERVER__LISTEN", &address);
        command.env("JETON__LOG__FORMAT", format).env("JETON__LOG__LEVEL", "trace");
        let mut child = command.stderr(full).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let ready = async {
            let mut looks = time::interval(Duration::from_millis(20));
            while http_client().get(format!("http://{address}/healthz")).send().await.is_err() {
                looks.tick().await;
            }
        };
        time::timeout(PATIENCE, ready).await.expect("it serves");
        is_answered(&address).await;
        ends_well(&mut child).await;
    }
}
