//! `artifacts lock watch`

use std::time::Duration;

use artifacts_core::name::LockName;
use clap::Args;
use serde_json::{Value, json};

use super::access::Access;
use crate::api::{ApiError, Event};
use crate::output::{Format, Output, printable};
use crate::stop::Stop;
use crate::time;

/// How long to wait before a stream that broke is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// Arguments of `lock watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
One line an event, until Ctrl-C; with --format json one document a line. A stream that breaks is taken up again where it
was; if events are lost meanwhile, an event `gap` says so.

Examples:
  artifacts lock watch --workspace task-1
  artifacts lock watch deploy --ticket-file ticket.json --format json")]
pub(crate) struct WatchArgs {
    /// Of this lock only
    #[arg(value_name = "NAME")]
    lock: Option<LockName>,
    #[command(flatten)]
    access: Access,
}

/// Watches.
pub(crate) async fn run(args: WatchArgs, output: Output) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    tokio::select! {
        ended = watch(args, output) => ended,
        () = stop.asked() => Ok(()),
    }
}

async fn watch(args: WatchArgs, output: Output) -> anyhow::Result<()> {
    let locks = args.access.locks().await?;
    let mut seen: Option<String> = None;
    loop {
        let opened = locks.client.lock_events(&locks.workspace, args.lock.as_ref().map(LockName::as_str), seen.as_deref()).await;
        let mut events = match opened {
            Ok(events) => events,
            // The first time it may as well be a wrong address.
            Err(ApiError::Unreachable { .. }) if seen.is_some() => {
                time::sleep(AGAIN).await;
                continue;
            }
            Err(ApiError::Answer { code, .. }) if seen.is_some() && code == "unavailable" => {
                time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        while let Ok(Some(event)) = events.next().await {
            show(&event, output)?;
            seen = event.id.or(seen);
        }
        time::sleep(AGAIN).await;
    }
}

fn show(event: &Event, output: Output) -> anyhow::Result<()> {
    if output.format == Format::Json {
        let mut document = json!({ "event": event.kind, "id": event.id });
        if let (Value::Object(document), Value::Object(data)) = (&mut document, &event.data) {
            document.extend(data.clone());
        }
        return output.line(&document.to_string());
    }
    let text = |field: &str| event.data[field].as_str().map(ToOwned::to_owned);
    match event.kind.as_str() {
        "ready" => {
            output.note("Watching; Ctrl-C ends it.");
            Ok(())
        }
        "gap" => output.line("gap        events are lost; see `artifacts lock list`"),
        kind => {
            let parts = [
                Some(format!("{kind:<10}")),
                text("lock"),
                text("mode"),
                text("owner"),
                text("note").map(|note| format!("({note})")),
                event.data["fencing_token"].as_u64().map(|token| format!("token {token}")),
                text("at"),
            ];
            output.line(&printable(&parts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
        }
    }
}
