use artifacts_core::trace::TraceContext;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The span under which this task works, if it is traced.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Does this work under a span. Tasks that it starts know nothing of it.
pub async fn within<F: Future>(context: Option<TraceContext>, work: F) -> F::Output {
    match context {
        Some(context) => CURRENT.scope(context, work).await,
        None => work.await,
    }
}
