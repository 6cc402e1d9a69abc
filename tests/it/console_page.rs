//! The page of the console: its files, and how browsers keep them.
use std::{fs, io::Read};

use flate2::read::GzDecoder;

use crate::{
    console_guard::{ask, get, on_loopback, spawn},
    support::root,
};

fn file(name: &str) -> Vec<u8> {
    fs::read(root().join("src/console/assets").join(name)).unwrap()
}

/// The file without comments, indents and empty lines.
#[track_caller]
fn assert_without_comments(sent: &[u8], file: &[u8], name: &str) {
    let [sent, file] = [sent, file].map(|text| str::from_utf8(text).unwrap());
    let mut is_within = false;
    let is_code = |line: &&str| {
        is_within |= line.starts_with("/*");
        let is_code = !is_within && !line.starts_with("//") && !line.is_empty();
        is_within &= !line.ends_with("*/");
        is_code
    };
    let code: Vec<_> = file.lines().map(str::trim).filter(is_code).collect();
    assert_eq!(sent.lines().collect::<Vec<_>>(), code, "{name}");
    assert!(sent.len() < file.len(), "{name}");
}

#[actix_web::test]
async fn the_files_of_the_page_are_served_with_their_types() {
    let app = spawn(on_loopback);
    let mut served = 0;
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join("src/console/assets").join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                folders.push(format!("{name}/"));
                continue;
            }
            let answer = get(&app, &format!("/console/{name}"), &[]).await;
            let ending = name.rsplit('.').next().unwrap();
            assert_eq!(answer.status, 200, "{name}");
            if ["js", "css"].contains(&ending) {
                assert_without_comments(&answer.body, &file(&name), &name);
            } else {
                assert_eq!(answer.body, file(&name), "{name}");
            }
            let expected = match ending {
                "html" => "text/html; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "svg" => "image/svg+xml",
                other => panic!("{other} has no type here"),
            };
            assert_eq!(answer.header("content-type"), Some(expected), "{name}");
            served += 1;
        }
    }
    assert!(served > 0);
    let (index, root) = (get(&app, "/console/index.html", &[]).await, get(&app, "/console/", &[]).await);
    assert_eq!(index.body, root.body);
}

#[actix_web::test]
async fn a_browser_keeps_files_and_asks_whether_they_are_current() {
    let app = spawn(on_loopback);
    let answer = get(&app, "/console/", &[]).await;
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    let etag = answer.header("etag").unwrap().to_owned();
    for (name, line, status) in [
        ("the same", format!("If-None-Match: {etag}"), 304),
        ("among others", format!("If-None-Match: \"x\", {etag}"), 304),
        ("any", "If-None-Match: *".to_owned(), 304),
        ("another", "If-None-Match: \"x\"".to_owned(), 200),
    ] {
        for encoding in ["identity", "gzip"] {
            let answer = get(&app, "/console/", &[&line, &format!("Accept-Encoding: {encoding}")]).await;
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.header("etag"), Some(etag.as_str()), "{name}");
            assert_eq!(answer.body.is_empty(), status == 304, "{name}");
            assert!(answer.header("content-security-policy").is_some(), "{name}");
        }
    }
}

#[actix_web::test]
async fn files_are_compressed_for_whoever_takes_that() {
    let app = spawn(on_loopback);
    let whole = get(&app, "/console/", &[]).await;
    assert_eq!(whole.header("content-encoding"), None);
    for (accepts, is_compressed) in [
        ("gzip", true),
        ("gzip, deflate, br", true),
        ("br;q=1, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("br", false),
    ] {
        let answer = get(&app, "/console/", &[&format!("Accept-Encoding: {accepts}")]).await;
        let coding = answer.header("content-encoding");
        assert_eq!(coding, is_compressed.then_some("gzip"), "{accepts}");
        let mut body = Vec::new();
        match coding {
            Some(_) => drop(GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap()),
            None => body.clone_from(&answer.body),
        }
        assert_eq!(body, whole.body, "{accepts}");
    }
    let head = ask(&app, "HEAD", "/console/", &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let length = whole.body.len().to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
}

#[actix_web::test]
async fn the_folder_without_a_slash_leads_to_the_page() {
    let app = spawn(on_loopback);
    let answer = get(&app, "/console", &[]).await;
    // relative, for a proxy that puts a path before it
    assert_eq!((answer.status, answer.header("location")), (308, Some("console/")));
}
