//! A real server with a console, and the commands beside it in the same folder.
use std::{path::Path, process::Command};

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

use super::{http_client, install_policies, program::Binary};

/// A server whose console is on a free port.
pub(crate) struct ConsoleServer {
    pub(crate) binary: Binary,
    http: reqwest::Client,
}

impl ConsoleServer {
    /// With the sample policies.
    pub(crate) async fn with_sample() -> Self {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        Self::serve_in(dir, "").await
    }

    /// In a folder with policies, and with these settings more.
    pub(crate) async fn serve_in(dir: TempDir, settings: &str) -> Self {
        let settings = format!("{settings}\n[admin]\nlisten = \"127.0.0.1:0\"\n");
        Self { binary: Binary::serve_in(dir, &settings).await, http: http_client() }
    }

    /// The folder in which it runs.
    pub(crate) fn dir(&self) -> &Path {
        self.binary.dir.path()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/console/api/{path}", self.binary.admin)
    }

    /// A question by GET.
    pub(crate) fn asking(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    /// A question by POST.
    pub(crate) fn posting(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path)).json(body)
    }

    /// What a question by GET is answered.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.asking(path).send().await.unwrap()).await
    }

    /// What a question by POST is answered.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.posting(path, body).send().await.unwrap()).await
    }

    /// What a text by POST is answered.
    pub(crate) async fn post_text(&self, path: &str, text: &'static str) -> (u16, Value) {
        read(self.http.post(self.url(path)).body(text).send().await.unwrap()).await
    }

    /// As [`Self::get`], where it is answered.
    #[track_caller]
    pub(crate) fn got(&self, path: &str) -> impl Future<Output = Value> {
        let asked = self.get(path);
        async move {
            let (status, body) = asked.await;
            assert_eq!(status, 200, "{body}");
            body
        }
    }

    /// As [`Self::post`], where it is answered.
    pub(crate) async fn posted(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// What a command prints in the same folder, as JSON.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JETON")) {
            command.env_remove(name);
        }
        let output = command.args(arguments).current_dir(self.dir()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }
}

/// Status and JSON.
pub(crate) async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}
