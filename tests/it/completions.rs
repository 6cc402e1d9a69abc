//! `jeton completions` and `jeton man`: what other programs read of the commands.
use std::{fs, process::Command};

use crate::binary::Workplace;

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    let workplace = Workplace::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = workplace.run(&["completions", shell]).exits(0);
        for word in ["policies", "retire", "matrix", "keep-old"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
        assert_eq!(run.stderr, "", "{shell}");
    }
    workplace.run(&["completions", "tcsh"]).exits(2).says(&["bash", "zsh", "fish", "elvish", "powershell"]);
    workplace.run(&["completions"]).exits(2);
    workplace.run_unread(&["completions", "bash"]).exits(0);
}

#[test]
fn bash_completes_commands_and_options() {
    let workplace = Workplace::empty();
    workplace.write("script", &workplace.run(&["completions", "bash"]).exits(0).stdout);
    for (typed, completed) in [
        ("jeton cl", "clients"),
        ("jeton clients ro", "rotate"),
        ("jeton policies ma", "matrix"),
        ("jeton policies check --fo", "--format"),
        ("jeton policies check --format j", "json"),
        ("jeton completions z", "zsh"),
    ] {
        let words = typed.split(' ').count() - 1;
        let typed = format!(
            "source ./script; COMP_WORDS=({typed}); COMP_CWORD={words}; \
             _jeton jeton \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output =
            Command::new("bash").args(["-c", &typed]).current_dir(workplace.path("")).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), completed, "{typed}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let workplace = Workplace::empty();
    let run = workplace.run(&["man", "deep/man1"]).exits(0);
    let mut written: Vec<_> = run.stdout.lines().map(str::to_owned).collect();
    written.sort();
    let mut pages: Vec<_> = fs::read_dir(workplace.path("deep/man1"))
        .unwrap()
        .map(|entry| format!("deep/man1/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    pages.sort();
    assert_eq!(written, pages);
    // by what each command says of those below it
    let below = |command: &[&str]| {
        let help = workplace.run(&[command, &["--help"]].concat()).exits(0).stdout;
        let (_, commands) = help.split_once("Commands:\n").unwrap_or_default();
        let commands = commands.lines().take_while(|line| !line.is_empty());
        let names = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: Vec<_> =
            names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        names.into_iter().filter(|name| name != "help").collect::<Vec<_>>()
    };
    let mut expected = vec!["jeton".to_owned()];
    for command in below(&[]) {
        expected.push(format!("jeton-{command}"));
        expected.extend(below(&[&command]).iter().map(|name| format!("jeton-{command}-{name}")));
    }
    let mut expected: Vec<_> = expected.iter().map(|name| format!("deep/man1/{name}.1")).collect();
    expected.sort();
    assert_eq!(pages, expected);
    assert!(pages.len() > 20, "{pages:?}");
    let page = workplace.read("deep/man1/jeton-clients-rotate.1");
    for text in [".TH jeton-clients-rotate 1", "\\-\\-keep\\-old", "jeton 0.1.0"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // again over those that are there
    workplace.run(&["man", "deep/man1"]).exits(0);
    workplace.write("file", "");
    workplace.run(&["man", "file"]).exits(1).says(&["file cannot be made"]);
}
