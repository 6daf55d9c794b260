//! The command line itself: help, version, mistakes.

#![allow(clippy::unwrap_used)]

mod harness;

use harness::Home;

/// Every command of the contract that exists in every build.
const COMMANDS: [&str; 42] = [
    "",
    "login",
    "logout",
    "whoami",
    "workspace",
    "workspace create",
    "workspace list",
    "workspace show",
    "workspace delete",
    "platform",
    "platform account",
    "platform account create",
    "platform tenant",
    "platform tenant create",
    "platform tenant list",
    "platform tenant show",
    "platform tenant delete",
    "platform grant",
    "platform grant create",
    "platform grant list",
    "platform grant revoke",
    "platform ticket",
    "platform ticket create",
    "platform session",
    "platform session list",
    "platform session end",
    "platform key",
    "platform key create",
    "platform key list",
    "platform key revoke",
    "mount",
    "import",
    "export",
    "unmount",
    "status",
    "lock",
    "lock run",
    "lock acquire",
    "lock renew",
    "lock release",
    "lock list",
    "lock watch",
];

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    for command in COMMANDS.iter().chain(&["completions"]) {
        let run = home.run(&format!("{command} --help"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
        assert!(run.stdout.contains("Usage: artifacts"), "{command}");
        assert!(run.stdout.contains("--format <FORMAT>"), "{command}");
    }
}

#[test]
#[cfg(feature = "node")]
fn so_do_those_that_need_a_node_in_the_program() {
    for command in ["node", "quickstart"] {
        let run = Home::new().run(&format!("{command} --help"));
        assert_eq!(run.code, 0, "{command}");
        assert!(run.stdout.contains("Examples:"), "{command}");
    }
}

#[test]
#[cfg(not(feature = "node"))]
fn the_sandbox_build_has_no_node() {
    for command in ["node", "quickstart"] {
        assert_eq!(Home::new().run(command).code, 2, "{command}");
    }
}

#[test]
fn every_leaf_takes_the_global_options_and_the_version() {
    let home = Home::new();
    for command in ["", "whoami", "platform ticket create", "mount"] {
        let run = home.run(&format!("{command} -V"));
        assert_eq!(run.code, 0, "{command}");
        assert!(run.stdout.contains(env!("CARGO_PKG_VERSION")), "{command}");
    }
}

#[test]
fn a_wrong_command_line_exits_2() {
    let home = Home::new();
    for line in [
        "",
        "nonsense",
        "whoami --nonsense",
        "-v -q whoami",
        "--format yaml whoami",
        "workspace create",
        "workspace create _x",
        "workspace create ok --quota-bytes big",
        "workspace show a/b/c",
        "platform grant create w --tenant t",
        "platform grant create w --tenant t --mode wx",
        "platform grant revoke",
        "platform grant revoke --runtime r",
        "platform grant revoke grt_00000000000000000000000000 --tenant t",
        "platform ticket create t r --workspace w --mode rw",
        "platform ticket create t r --workspace w --mode rw --ttl 0",
        "platform ticket create t r --workspace w --mode rw --ttl soon",
        "platform tenant create UPPER",
        "platform tenant create t --metadata []",
        "platform key revoke tbo_secret",
        "platform session end grt_00000000000000000000000000",
        "platform account create acme",
        "mount",
        "completions cmd",
    ] {
        let run = home.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{line}");
    }
}

#[test]
fn a_wrong_command_line_is_json_when_json_is_asked_for() {
    for line in ["--format json whoami --nonsense", "platform ticket create --format=json"] {
        let run = Home::new().run(line);
        assert_eq!(run.code, 2);
        let error: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!((error["code"].as_str(), error["exit_code"].as_u64()), (Some("usage"), Some(2)));
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = Home::new().run(&format!("completions {shell}"));
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("artifacts") && run.stdout.contains("ticket"), "{shell}");
    }
}
