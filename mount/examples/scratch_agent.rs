//! Temporary.
#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
use artifacts_mount::*;
struct Log;
impl tracing::Subscriber for Log {
    fn enabled(&self, m: &tracing::Metadata<'_>) -> bool {
        m.target().starts_with("artifacts") || *m.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, e: &tracing::Event<'_>) {
        struct V(String);
        impl tracing::field::Visit for V {
            fn record_debug(&mut self, f: &tracing::field::Field, v: &dyn std::fmt::Debug) {
                self.0 += &format!(" {}={:?}", f.name(), v);
            }
        }
        let mut v = V(String::new());
        e.record(&mut v);
        eprintln!(
            "{:?} {} {}",
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
            e.metadata().level(),
            v.0
        );
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let _ = tracing::subscriber::set_global_default(Log);
    let state = std::path::PathBuf::from(std::env::var("STATE").unwrap_or("/tmp/mstate".into()));
    match args[1].as_str() {
        "__serve-mount" => return daemon::serve_child(),
        "mount" => {
            let t: artifacts_core::ticket::TicketFile = serde_json::from_str(&std::fs::read_to_string(&args[2]).unwrap()).unwrap();
            match daemon::spawn(MountOptions::new(Credential::Ticket(t), &args[3], state)) {
                Ok(i) => println!("{}", serde_json::to_string(&i).unwrap()),
                Err(e) => {
                    println!("error: {e} {:?}", e.code());
                    return 1.into();
                }
            }
        }
        "key" => {
            let c = Credential::ApiKey {
                endpoints: vec![std::env::var("TONBO_API_URL").unwrap()],
                key: std::env::var("TONBO_API_KEY").unwrap(),
                workspace: args[2].parse().unwrap(),
                mode: artifacts_core::ticket::Mode::Rw,
                subpath: None,
            };
            match daemon::spawn(MountOptions::new(c, &args[3], state)) {
                Ok(i) => println!("{}", serde_json::to_string(&i).unwrap()),
                Err(e) => {
                    println!("error: {e} {:?}", e.code());
                    return 1.into();
                }
            }
        }
        "list" => println!("{:#?}", control::list(&state)),
        "unmount" => {
            let r = control::unmount(&state, args[2].as_ref(), args.get(3).is_some());
            println!("{r:?}");
            if let Err(e) = r {
                println!("{e}");
                return 1.into();
            }
        }
        _ => {}
    }
    0.into()
}
