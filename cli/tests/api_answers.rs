//! What the command makes of the answers of a node: results, exit codes, errors, attempts.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use harness::{FakeNode, Home};
use serde_json::{Value, json};

const WHOAMI: &str =
    r#"{"account":{"id":"acc_1","handle":"acme","created_at":"2025-01-01T00:00:00Z"},"key_id":"key_1","scope":{"mode":"ro"}}"#;
const NOT_FOUND: &str = r#"{"code":"workspace_not_found","message":"there is no workspace acme/x","request_id":"req_1"}"#;
const BUSY: &str = r#"{"code":"unavailable","message":"not now","request_id":"req_2"}"#;
const TICKET: &str = r#"{"mount_ticket":{"version":1,"id":"tkt_00000000000000000000000000","workspace":"acme/task-1","mode":"rw",
    "expires_at":"2030-01-01T00:00:00Z","endpoints":["http://n"],"token":"a.b.c"}}"#;
const CREATE_TICKET: &str = "platform ticket create acme run:1 --workspace task-1 --mode rw --ttl 1h";

#[test]
fn without_a_key_exit_3_and_say_how_to_get_one() {
    let run = Home::new().run("whoami");
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.starts_with("error: no API key\nhint: set TONBO_API_KEY"), "{}", run.stderr);
}

#[test]
fn a_node_that_cannot_be_reached_exits_6() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new().with("TONBO_API_KEY", "tbo_x").with("TONBO_API_URL", &format!("http://127.0.0.1:{port}"));
    let run = home.run("workspace list");
    assert_eq!(run.code, 6);
    assert!(run.stderr.contains(&format!("cannot reach http://127.0.0.1:{port}")), "{}", run.stderr);
    let run = home.run("--format json workspace list");
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!((run.code, &error["code"], &error["exit_code"]), (6, &json!("unavailable"), &json!(6)));
    assert_eq!(run.stdout, "");
}

#[test]
fn an_address_that_is_none_exits_2() {
    let run = Home::new().with("TONBO_API_KEY", "tbo_x").with("TONBO_API_URL", "localhost:7700").run("whoami");
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn results_are_a_document_or_lines() {
    let node = FakeNode::start(&[(200, "", WHOAMI)]);
    let run = node.home().run("whoami --format json");
    let caller: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &caller["account"]["handle"]), (0, &json!("acme")));
    assert_eq!(caller["account"]["created_at"], json!("2025-01-01T00:00:00Z"), "fields that this version does not know are kept");
    let run = node.home().run("whoami");
    assert!(run.stdout.contains("acme (acc_1)") && run.stdout.contains("mode ro"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "no colours where nobody looks");
    assert_eq!(node.received()[0].header("authorization"), Some("Bearer tbo_test"));
}

#[test]
fn an_error_of_the_node_becomes_an_exit_code() {
    for (status, body, code) in [
        (401, r#"{"code":"unauthorized","message":"no","request_id":"r"}"#, 3),
        (403, r#"{"code":"forbidden","message":"no","request_id":"r"}"#, 3),
        (404, NOT_FOUND, 4),
        (409, r#"{"code":"workspace_exists","message":"no","request_id":"r"}"#, 5),
        (412, r#"{"code":"stale_token","message":"no","request_id":"r"}"#, 5),
        (422, r#"{"code":"invalid_request","message":"no","request_id":"r"}"#, 2),
        (500, r#"{"code":"internal","message":"no","request_id":"r"}"#, 1),
        (507, r#"{"code":"quota_exceeded","message":"no","request_id":"r"}"#, 1),
        (502, "<html>a proxy</html>", 6),
        (200, "<html>a login page</html>", 1),
    ] {
        let node = FakeNode::start(&[(status, "", body)]);
        let run = node.home().run("workspace show acme/x --format json");
        let error: Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!((run.code, error["exit_code"].as_i64()), (code, Some(i64::from(code))), "{status}");
    }
    let run = FakeNode::start(&[(404, "", NOT_FOUND)]).home().run("workspace show acme/x --format json");
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(error, json!({"code":"workspace_not_found","message":"there is no workspace acme/x","request_id":"req_1","exit_code":4}));
}

#[test]
fn a_busy_node_is_asked_again_with_the_same_idempotency_key() {
    let node = FakeNode::start(&[(503, "retry-after: 0", BUSY), (429, "retry-after: 0", BUSY), (201, "", TICKET)]);
    let run = node.home().run(CREATE_TICKET);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let received = node.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].line, "POST /v1/tenants/acme/runtimes/run%3A1/mount-tickets");
    let body: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!(body, json!({"workspace": "task-1", "mode": "rw", "ttl_seconds": 3600}));
    let key = received[0].header("idempotency-key").unwrap();
    assert!(key.len() >= 16 && received.iter().all(|request| request.header("idempotency-key") == Some(key)));
    assert_ne!(node.home().run(CREATE_TICKET).code, -1);
    assert_ne!(node.received()[3].header("idempotency-key"), Some(key), "another call has another key");
}

#[test]
fn a_node_that_stays_busy_exits_6() {
    let node = FakeNode::start(&[(503, "retry-after: 0", BUSY)]);
    let run = node.home().run("workspace list");
    assert_eq!((run.code, node.received().len()), (6, 5));
    let patient = FakeNode::start(&[(503, "retry-after: 3600", BUSY)]);
    assert_eq!((patient.home().run("workspace list").code, patient.received().len()), (6, 1), "an hour is not waited for");
}

#[test]
fn a_ticket_is_printed_or_kept_private() {
    let node = FakeNode::start(&[(201, "", TICKET)]);
    let home = node.home();
    let printed: Value = serde_json::from_str(&home.run(CREATE_TICKET).stdout).unwrap();
    assert_eq!((&printed["version"], &printed["token"]), (&json!(1), &json!("a.b.c")));
    let run = home.run(&format!("{CREATE_TICKET} --out ticket.json"));
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("ticket.json") && !run.stdout.contains("a.b.c"), "{}", run.stdout);
    let file = home.path().join("ticket.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serde_json::from_str::<Value>(&std::fs::read_to_string(file).unwrap()).unwrap(), printed);
}

#[test]
fn a_list_is_read_to_its_end() {
    let workspace = |name: &str| {
        format!(
            r#"{{"id":"ws_{name}","handle":"acme","name":"{name}","status":"active","region":"local","usage":{{"bytes":1536,"inodes":3}}}}"#
        )
    };
    let pages = [
        format!(r#"{{"items":[{}],"next_cursor":"c/1"}}"#, workspace("a")),
        format!(r#"{{"items":[{}],"next_cursor":null}}"#, workspace("b")),
    ];
    let node = FakeNode::start(&[(200, "", &pages[0]), (200, "", &pages[1])]);
    let run = node.home().run("workspace list");
    assert!(run.stdout.contains("acme/a") && run.stdout.contains("acme/b") && run.stdout.contains("1.5 KiB"), "{}", run.stdout);
    assert!(node.received()[1].line.ends_with("cursor=c%2F1"), "{}", node.received()[1].line);
    let node = FakeNode::start(&[(200, "", &pages[1])]);
    let list: Value = serde_json::from_str(&node.home().run("workspace list --format json").stdout).unwrap();
    assert_eq!(list["items"][0]["name"], json!("b"));
}

#[test]
fn deleting_asks_first() {
    let node = FakeNode::start(&[(202, "", r#"{"status":"deleting"}"#), (404, "", NOT_FOUND)]);
    let run = node.home().run("workspace delete acme/x");
    assert_eq!((run.code, node.received().len()), (2, 0));
    assert!(run.stderr.contains("--yes"));
    let run = node.home().run("workspace delete acme/x --yes --format json");
    assert_eq!(run.stdout, "{\"status\":\"deleted\"}\n");
    assert_eq!((run.code, node.received()[0].line.as_str()), (0, "DELETE /v1/workspaces/acme/x"));
}

#[test]
fn a_login_is_checked_stored_used_and_forgotten() {
    let node = FakeNode::start(&[(200, "", WHOAMI)]);
    let home = Home::new();
    let run = home.run_with_input(&format!("login --api-key-stdin --url {}/", node.url), "tbo_from_stdin\n");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stdout.contains("tbo_from_stdin") && !run.stderr.contains("tbo_from_stdin"));
    let file = home.path().join(".config/tonbo/artifacts/credentials.json");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert_eq!(home.run("whoami").code, 0);
    assert_eq!(node.received().last().unwrap().header("authorization"), Some("Bearer tbo_from_stdin"));
    assert_eq!(home.run("logout").code, 0);
    assert!(!file.exists());
    assert_eq!(home.run("whoami").code, 3);
    assert_eq!(home.run("logout").code, 0, "twice is fine");
}

#[test]
fn a_login_that_the_node_refuses_is_not_stored() {
    let node = FakeNode::start(&[(401, "", r#"{"code":"unauthorized","message":"no","request_id":"r"}"#)]);
    let home = Home::new();
    assert_eq!(home.run_with_input(&format!("login --api-key-stdin --url {}", node.url), "tbo_wrong").code, 3);
    assert!(!home.path().join(".config").exists());
    assert_eq!(home.run_with_input("login --api-key-stdin", "two words").code, 2);
    assert_eq!(home.run("login").code, 2, "there is no terminal to ask on");
}

#[test]
fn what_is_missing_on_this_machine_is_said_before_anything_is_asked() {
    let node = FakeNode::start(&[(200, "", "{}")]);
    let home = node.home();
    let run = home.run("mount task-1 missing/directory");
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("mkdir -p ") && run.stderr.contains("/missing"), "{}", run.stderr);
    std::fs::write(home.path().join("file"), "x").unwrap();
    assert_eq!(home.run("mount task-1 file").code, 2);
    assert_eq!(home.run("workspace create task-1 missing/directory").code, 4);
    std::fs::create_dir(home.path().join("dir")).unwrap();
    let run = home.run("mount --ticket-file none.json dir");
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("none.json"), "{}", run.stderr);
    std::fs::write(home.path().join("bad.json"), "{}").unwrap();
    assert_eq!(home.run("mount --ticket-file bad.json dir").code, 2);
    assert_eq!(node.received().len(), 0);
}

#[test]
fn fsck_exits_0_when_all_is_whole_and_1_with_what_is_wrong() {
    let clean =
        r#"{"clean":true,"findings":[],"untold":0,"inodes":7,"bytes":42,"segments":1,"objects":1,"unnamed_objects":0,"verified_bytes":0}"#;
    let node = FakeNode::start(&[(200, "", clean)]);
    let run = node.home().run("fsck acme/one");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert!(run.stderr.contains("Nothing is wrong"), "{}", run.stderr);
    let damaged = r#"{"clean":false,"findings":[{"message":"usage is off","repairable":true,"repaired":false},{"message":"a name is lost","repairable":false,"repaired":false}],
        "untold":0,"inodes":7,"bytes":42,"segments":1,"objects":1,"unnamed_objects":0,"verified_bytes":0}"#;
    let node = FakeNode::start(&[(200, "", damaged)]);
    let run = node.home().run("fsck acme/one");
    assert_eq!((run.code, run.stdout.as_str()), (1, "repairable: usage is off\ndamage: a name is lost\n"));
    assert!(run.stderr.contains("--repair"), "{}", run.stderr);
    let run = node.home().run("--format json fsck acme/one --repair --data");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["findings"].as_array().unwrap().len()), (1, 2));
}

#[test]
fn stats_are_of_all_workspaces_or_of_one() {
    let usage = r#"{"total":{"workspaces":2,"bytes":3072,"inodes":9},"items":[{"workspace":"acme/a","bytes":1024,"inodes":4},{"workspace":"acme/b","bytes":2048,"inodes":5}],"next_cursor":null}"#;
    let node = FakeNode::start(&[(200, "", usage)]);
    let run = node.home().run("stats");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("acme/b") && run.stderr.contains("2 workspaces"), "{} {}", run.stdout, run.stderr);
    let all: Value = serde_json::from_str(&node.home().run("stats --tenant t --format json").stdout).unwrap();
    assert_eq!((&all["total"]["inodes"], all["items"].as_array().unwrap().len()), (&json!(9), 2));
    let storage = r#"{"workspace":"acme/a","bytes":1024,"inodes":4,"inline_bytes":24,"segments":2,"stored_bytes":4000,"live_bytes":1000,"dead_segments":1}"#;
    let node = FakeNode::start(&[(200, "", storage)]);
    let run = node.home().run("stats acme/a");
    assert!(run.code == 0 && run.stdout.contains("25 %"), "{} {}", run.stdout, run.stderr);
}
