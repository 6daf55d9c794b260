use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::harness::TestNode;
use crate::locks::{LOCKS, acquire, node, release, token};

/// A stream of server-sent events, read one by one.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

impl Events {
    async fn open(node: &TestNode, key: &str, query: &str, after: Option<&str>) -> Self {
        Self::at(node, key, &format!("{LOCKS}/events{query}"), after).await
    }

    /// The stream at this path.
    pub(crate) async fn at(node: &TestNode, key: &str, path: &str, after: Option<&str>) -> Self {
        let call = node.get(path, key);
        let call = if let Some(after) = after { call.header("last-event-id", after) } else { call };
        let (status, body) = call.open().await;
        assert_eq!(status, 200);
        Self { body, text: String::new() }
    }

    /// The next event; nothing when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let read = async {
            loop {
                if let Some((block, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
                    let event = field("event:").map(|kind| Event {
                        kind,
                        id: field("id:"),
                        data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
                    });
                    self.text = rest.to_owned();
                    match event {
                        Some(event) => return Some(event),
                        None => continue,
                    }
                }
                let more = self.body.next().await?.unwrap();
                self.text.push_str(std::str::from_utf8(&more).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an event or the end")
    }

    async fn kinds(&mut self, count: usize) -> Vec<String> {
        let mut kinds = Vec::new();
        for _ in 0..count {
            kinds.push(self.next().await.unwrap().kind);
        }
        kinds
    }
}

#[tokio::test]
async fn whatever_happens_is_told() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let mut events = Events::open(&node, key, "", None).await;
    let ready = events.next().await.unwrap();
    assert_eq!(ready.kind, "ready");
    let held = acquire(&node, key, "l", json!({ "owner": "anna", "note": "n", "ttl_ms": 1_000 })).await.expect(200);
    let told = events.next().await.unwrap();
    assert_eq!((told.kind.as_str(), &told.data["lock"], &told.data["owner"]), ("acquired", &json!("l"), &json!("anna")));
    assert_eq!((&told.data["fencing_token"], &told.data["note"]), (&json!(token(&held)), &json!("n")));
    assert_ne!(told.id, ready.id);
    acquire(&node, key, "l", json!({ "wait_ms": 10 })).await.expect_error(409, "lock_held");
    assert_eq!(events.kinds(2).await, ["waiting", "gave_up"]);
    node.clock.advance(Duration::from_secs(1));
    assert_eq!(events.kinds(1).await, ["expired"], "without anybody asking");
    let held = acquire(&node, key, "m", json!({})).await.expect(200);
    release(&node, key, "m", &held).await.expect(200);
    assert_eq!(events.kinds(2).await, ["acquired", "released"]);

    let mut only = Events::open(&node, key, "?lock=b", None).await;
    assert_eq!(only.next().await.unwrap().kind, "ready");
    for lock in ["a", "b"] {
        acquire(&node, key, lock, json!({})).await.expect(200);
    }
    assert_eq!(only.next().await.unwrap().data["lock"], "b");
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_or_says_that_something_is_lost() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let mut events = Events::open(&node, key, "", None).await;
    acquire(&node, key, "a", json!({})).await.expect(200);
    events.next().await.unwrap();
    let seen = events.next().await.unwrap().id.unwrap();
    drop(events);
    for lock in ["b", "c"] {
        acquire(&node, key, lock, json!({})).await.expect(200);
    }
    let mut events = Events::open(&node, key, "", Some(&seen)).await;
    let (first, second) = (events.next().await.unwrap(), events.next().await.unwrap());
    assert_eq!((&first.data["lock"], &second.data["lock"]), (&json!("b"), &json!("c")));
    drop(events);

    for _ in 0..520 {
        let held = acquire(&node, key, "x", json!({})).await.expect(200);
        release(&node, key, "x", &held).await.expect(200);
    }
    let mut events = Events::open(&node, key, "", Some(&seen)).await;
    let gap = events.next().await.unwrap();
    assert_eq!(gap.kind, "gap");
    acquire(&node, key, "y", json!({})).await.expect(200);
    assert_eq!(events.next().await.unwrap().data["lock"], "y");
    let mut events = Events::open(&node, key, "", gap.id.as_deref()).await;
    assert_eq!(events.next().await.unwrap().data["lock"], "y", "a gap is a place to go on from");

    let node = node.crash().await;
    let mut events = Events::open(&node, key, "", Some(&seen)).await;
    assert_eq!(events.next().await.unwrap().kind, "gap", "the node forgets");
    node.get(format!("{LOCKS}/events"), key).header("last-event-id", "what").send().await.expect_error(422, "invalid_request");
}

#[tokio::test]
async fn a_stream_ends_with_its_credential() {
    let (node, owner) = node().await;
    let ticket = node.ticket(&owner, "t", "r", "task", 60).await;
    let mut by_ticket = Events::open(&node, ticket["token"].as_str().unwrap(), "", None).await;
    let key = node.post("/v1/api-keys", &owner.key, json!({})).send().await.expect(201);
    let mut by_key = Events::open(&node, &key.str("key"), "", None).await;
    let mut stays = Events::open(&node, &owner.key, "", None).await;
    for events in [&mut by_ticket, &mut by_key, &mut stays] {
        assert_eq!(events.next().await.unwrap().kind, "ready");
    }
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t" })).send().await.expect(200);
    assert!(by_ticket.next().await.is_none());
    node.delete(format!("/v1/api-keys/{}", key.str("id")), &owner.key).send().await.expect(200);
    assert!(by_key.next().await.is_none());
    acquire(&node, &owner.key, "l", json!({})).await.expect(200);
    assert_eq!(stays.next().await.unwrap().kind, "acquired");
    node.control.locks().close();
    assert!(stays.next().await.is_none(), "the node stops");
}
