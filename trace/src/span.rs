use std::borrow::Cow;
use std::num::{NonZeroU64, NonZeroU128};

use artifacts_core::trace::TraceContext;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};

use crate::time::Begun;
use crate::tracer::{self, Tracer};

/// So many links a span has at the most; the rest is counted.
const LINKS_MAX: usize = 128;

/// A part of a trace that takes some time, and ends when this is dropped. Nothing if it is not recorded.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Live>>);

/// A span that is recorded.
#[derive(Debug)]
struct Live {
    tracer: &'static Tracer,
    context: TraceContext,
    parent: Option<TraceContext>,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'static, str>,
    begun: Begun,
    attributes: Vec<KeyValue>,
    links: SpanLinks,
    status: Status,
}

impl Span {
    /// Nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The beginning of a trace, if this one is to be recorded.
    pub fn root(name: &'static str) -> Self {
        let Some(tracer) = tracer::get() else { return Self::none() };
        let trace = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
        match NonZeroU128::new(trace).filter(|trace| tracer.samples(*trace)) {
            Some(trace) => Self::begin(tracer, trace, None, false, SpanKind::Internal, name.into()),
            None => Self::none(),
        }
    }

    /// A part of what this process does under `parent`, if that is recorded.
    pub fn child(parent: Option<TraceContext>, name: &'static str) -> Self {
        Self::under(parent, false, SpanKind::Internal, name)
    }

    /// A call to another process, under `parent`.
    pub fn client(parent: Option<TraceContext>, name: &'static str) -> Self {
        Self::under(parent, false, SpanKind::Client, name)
    }

    /// A part of what another process does under `parent`.
    pub fn remote_child(parent: Option<TraceContext>, name: &'static str) -> Self {
        Self::under(parent, true, SpanKind::Server, name)
    }

    /// A call that came from another process: a part of its trace if it says so, else the beginning of one.
    pub fn server(parent: Option<TraceContext>, name: &'static str) -> Self {
        match parent {
            None => Self::root(name).of_kind(SpanKind::Server),
            parent => Self::remote_child(parent, name),
        }
    }

    fn under(parent: Option<TraceContext>, is_remote: bool, kind: SpanKind, name: &'static str) -> Self {
        let Some(parent) = parent.filter(|parent| parent.sampled) else { return Self::none() };
        match tracer::get() {
            Some(tracer) if !is_remote || tracer.has_room_for_others() => {
                Self::begin(tracer, parent.trace, Some(parent), is_remote, kind, name.into())
            }
            _ => Self::none(),
        }
    }

    fn begin(
        tracer: &'static Tracer,
        trace: NonZeroU128,
        parent: Option<TraceContext>,
        parent_is_remote: bool,
        kind: SpanKind,
        name: Cow<'static, str>,
    ) -> Self {
        let span = u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes());
        let Some(span) = NonZeroU64::new(span) else { return Self::none() };
        Self(Some(Box::new(Live {
            tracer,
            context: TraceContext { trace, span, sampled: true },
            parent,
            parent_is_remote,
            kind,
            name,
            begun: Begun::now(),
            attributes: Vec::new(),
            links: SpanLinks::default(),
            status: Status::Unset,
        })))
    }

    fn of_kind(mut self, kind: SpanKind) -> Self {
        if let Some(live) = &mut self.0 {
            live.kind = kind;
        }
        self
    }

    /// As others know it; `None` if it is not recorded.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|live| live.context)
    }

    /// Whether it is recorded: then it is worth finding out what to say of it.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Names it by what was not known when it began.
    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(live) = &mut self.0 {
            live.name = name().into();
        }
    }

    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.attributes.push(KeyValue::new(key, value));
        }
    }

    /// Says a number of it.
    pub fn count(&mut self, key: &'static str, value: u64) {
        self.set(key, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Says that it belongs to another span as well.
    pub fn link(&mut self, other: TraceContext) {
        let Some(live) = &mut self.0 else { return };
        if live.links.links.len() < LINKS_MAX {
            live.links.links.push(Link::with_context(span_context(other, true)));
        } else {
            live.links.dropped_count += 1;
        }
    }

    /// Says that it failed.
    pub fn fail(&mut self, reason: impl Into<Cow<'static, str>>) {
        if let Some(live) = &mut self.0 {
            live.status = Status::error(reason);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(live) = self.0.take() else { return };
        let (start_time, took) = (live.begun.wall(), live.begun.elapsed());
        live.tracer.take(SpanData {
            span_context: span_context(live.context, false),
            parent_span_id: live.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span.get().to_be_bytes())),
            parent_span_is_remote: live.parent_is_remote,
            span_kind: live.kind,
            name: live.name,
            start_time,
            end_time: start_time + took,
            attributes: live.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: live.links,
            status: live.status,
            instrumentation_scope: live.tracer.scope(),
        });
    }
}

fn span_context(context: TraceContext, is_remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace.get().to_be_bytes()),
        SpanId::from_bytes(context.span.get().to_be_bytes()),
        if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
        is_remote,
        TraceState::default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_recorded_where_nothing_is_traced() {
        let parent = TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, sampled: true };
        for mut span in [Span::root("a"), Span::child(Some(parent), "a"), Span::server(Some(parent), "a"), Span::server(None, "a")] {
            span.set("key", "value");
            span.link(parent);
            assert!(!span.is_recorded() && span.context().is_none());
        }
        assert_eq!(size_of::<Span>(), size_of::<usize>(), "a call carries one");
    }
}
