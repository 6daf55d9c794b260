//! What requests there are, and what they cost.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// How often each was made.
pub(crate) type Requests = BTreeMap<Request, u64>;

/// What S3 tells apart when it bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Put,
    Get,
    Head,
    List,
    Delete,
}

/// A kind of request, and what of a cluster's it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) part: &'static str,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Put, Self::Get, Self::Head, Self::List, Self::Delete];

    /// List prices of S3 Standard in us-east-1, dollars.
    const fn price(self) -> f64 {
        match self {
            Self::Put | Self::List => 5.0 / 1e6,
            Self::Get | Self::Head => 0.4 / 1e6,
            Self::Delete => 0.0,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "PUT",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::List => "LIST",
            Self::Delete => "DELETE",
        })
    }
}

/// The parts of a bucket, by what their names hold.
const PARTS: [&str; 6] = ["manifest", "wal", "compactions", "compacted", "gc", "blobs"];

impl Request {
    /// What the head of an HTTP request asks for; `None` for what is none of S3's.
    pub(crate) fn of_head(head: &str) -> Option<Self> {
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let target = target.replace("%2F", "/");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let is_list = query.contains("list-type=") || query.contains("prefix=");
        let kind = match method {
            "PUT" | "POST" => Kind::Put,
            "GET" if is_list => Kind::List,
            "GET" => Kind::Get,
            "HEAD" => Kind::Head,
            "DELETE" => Kind::Delete,
            _ => return None,
        };
        let place = if is_list { query } else { path };
        let part = PARTS.into_iter().find(|part| place.contains(&format!("/{part}/")) || place.contains(&format!("/{part}&")));
        let part = part.or_else(|| PARTS.into_iter().find(|part| place.ends_with(&format!("/{part}"))));
        Some(Self { kind, part: part.unwrap_or("other") })
    }
}

/// What one state of a cluster asks of the object store in an hour.
pub(crate) struct Hourly {
    pub(crate) what: String,
    requests: BTreeMap<Request, f64>,
}

impl Hourly {
    /// From what was counted at the beginning and at the end of some seconds.
    pub(crate) fn between(what: &str, before: &Requests, after: &Requests, seconds: f64) -> Self {
        let hourly = |(request, count): (&Request, &u64)| {
            let made = count - before.get(request).copied().unwrap_or(0);
            (*request, made as f64 * 3600.0 / seconds)
        };
        Self { what: what.to_owned(), requests: after.iter().map(hourly).filter(|(_, hourly)| *hourly > 0.0).collect() }
    }

    fn of_kind(&self, kind: Kind) -> f64 {
        self.requests.iter().filter(|(request, _)| request.kind == kind).fold(0.0, |sum, (_, hourly)| sum + hourly)
    }

    fn dollars(&self) -> f64 {
        self.requests.iter().fold(0.0, |sum, (request, hourly)| sum + request.kind.price() * hourly)
    }

    /// All of them, by kind and by part.
    pub(crate) fn print(all: &[Self]) {
        println!("\nrequests to the object store an hour, and dollars at list prices ($5 a million PUT and LIST, $0.40 GET and HEAD)");
        let kinds = Kind::ALL.map(|kind| kind.to_string());
        let heads: Vec<&str> = [""].into_iter().chain(kinds.iter().map(String::as_str)).chain(["$ an hour", "$ a month"]).collect();
        crate::print(
            &heads,
            all.iter().map(|hourly| {
                let counts = Kind::ALL.map(|kind| format!("{:.0}", hourly.of_kind(kind)));
                let dollars = [format!("{:.3}", hourly.dollars()), format!("{:.0}", hourly.dollars() * 24.0 * 30.0)];
                [hourly.what.clone()].into_iter().chain(counts).chain(dollars).collect()
            }),
        );
        println!("\nthe same by what they are about");
        let parts: Vec<Request> = all.iter().flat_map(|hourly| hourly.requests.keys().copied()).collect();
        let parts: std::collections::BTreeSet<Request> = parts.into_iter().collect();
        let heads: Vec<&str> = ["", ""].into_iter().chain(all.iter().map(|hourly| hourly.what.as_str())).collect();
        crate::print(
            &heads,
            parts.into_iter().map(|request| {
                let of = |hourly: &Self| format!("{:.0}", hourly.requests.get(&request).copied().unwrap_or(0.0));
                [request.kind.to_string(), request.part.to_owned()].into_iter().chain(all.iter().map(of)).collect()
            }),
        );
    }

    pub(crate) fn to_json(&self) -> Value {
        let by_part = self.requests.iter().map(|(request, hourly)| (format!("{} {}", request.kind, request.part), json!(hourly)));
        let by_part: serde_json::Map<String, Value> = by_part.collect();
        json!({ "what": self.what, "dollars_an_hour": self.dollars(), "an_hour": by_part })
    }
}
