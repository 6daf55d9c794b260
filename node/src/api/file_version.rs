//! Which state a file is in, and conditions on that (RFC 9110 sections 8.8 and 13).

use std::sync::LazyLock;

use artifacts_core::namespace::{Attr, Ino, Nanos};
use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};
use time::format_description::{self, BorrowedFormatItem};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::ApiError;
use crate::workspace::{Condition, Version};

/// An HTTP-date.
static DATE: LazyLock<Vec<BorrowedFormatItem<'static>>> = LazyLock::new(|| {
    let date = "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT";
    format_description::parse_borrowed::<2>(date).unwrap_or_default()
});

/// The entity tag of a file. It is strong: no other state of this file ever has it.
pub(super) fn etag(attr: &Attr) -> String {
    let Version(ino, ctime) = Version::of(attr);
    format!("\"{:x}-{ctime:x}\"", ino.0)
}

/// When it changed last.
pub(super) fn last_modified(attr: &Attr) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(attr.mtime.div_euclid(1_000_000_000)).ok()?.format(&*DATE).ok()
}

fn version(tag: &str) -> Option<Version> {
    let (ino, ctime) = tag.trim().strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    Some(Version(Ino(u64::from_str_radix(ino, 16).ok()?), Nanos::from_str_radix(ctime, 16).ok()?))
}

/// Whether one of the tags in a header is the file's. Weak ones are none of ours.
fn names(header: &str, attr: &Attr) -> bool {
    header.trim() == "*" || header.split(',').any(|tag| version(tag) == Some(Version::of(attr)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ApiError> {
    let shown = name.to_string();
    headers.get(name).map(|value| value.to_str().map_err(|_| ApiError::invalid(&shown, "is no header of entity tags"))).transpose()
}

/// The condition of a change.
///
/// # Errors
/// `invalid_request` for one that is not understood: it must not be passed over.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
    let is = match text(headers, IF_MATCH)? {
        None => None,
        Some(tags) if tags.trim() == "*" => Some(Vec::new()),
        // What is no tag of ours is the tag of nothing that there is.
        Some(tags) => {
            let mut versions: Vec<Version> = tags.split(',').filter_map(version).collect();
            if versions.is_empty() {
                versions.push(Version(Ino(0), 0));
            }
            Some(versions)
        }
    };
    let is_absent = match text(headers, IF_NONE_MATCH)? {
        None => false,
        Some(tags) if tags.trim() == "*" => true,
        Some(_) => return Err(ApiError::invalid("if-none-match", "must be `*` where something is changed")),
    };
    Ok(Condition { is, is_absent })
}

/// What becomes of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// It is answered.
    Goes,
    /// Whoever asks has it already.
    NotModified,
    /// `if-match` does not hold.
    Unmet,
}

/// Judges the conditions of a read.
///
/// # Errors
/// `invalid_request` for a header that is no text.
pub(super) fn judge(headers: &HeaderMap, attr: &Attr) -> Result<Read, ApiError> {
    if text(headers, IF_MATCH)?.is_some_and(|tags| !names(tags, attr)) {
        return Ok(Read::Unmet);
    }
    if let Some(tags) = text(headers, IF_NONE_MATCH)? {
        return Ok(if names(tags, attr) { Read::NotModified } else { Read::Goes });
    }
    let since = text(headers, IF_MODIFIED_SINCE)?.and_then(|date| PrimitiveDateTime::parse(date.trim(), &*DATE).ok());
    let is_older = since.is_some_and(|since| attr.mtime.div_euclid(1_000_000_000) <= since.assume_utc().unix_timestamp());
    Ok(if is_older { Read::NotModified } else { Read::Goes })
}

/// Whether `if-range` allows a part to be sent.
pub(super) fn is_still(if_range: Option<&str>, attr: &Attr) -> bool {
    let Some(wanted) = if_range else { return true };
    version(wanted).map_or_else(|| last_modified(attr).as_deref() == Some(wanted.trim()), |version| version == Version::of(attr))
}

#[cfg(test)]
mod tests {
    use artifacts_core::namespace::FileKind;
    use axum::http::HeaderValue;
    use axum::http::header::IF_RANGE;

    use super::*;

    fn attr() -> Attr {
        Attr {
            ino: Ino(0x2a),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 3,
            allocated_bytes: 3,
            rdev: 0,
            atime: 0,
            mtime: 784_111_777_500_000_000,
            ctime: 0xff,
        }
    }

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_file_says_its_version_and_knows_it_again() {
        assert_eq!(etag(&attr()), "\"2a-ff\"");
        assert_eq!(last_modified(&attr()).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"), "RFC 9110 section 5.6.7");
        for (pairs, expected) in [
            (vec![], Read::Goes),
            (vec![(IF_MATCH, "\"2a-ff\"")], Read::Goes),
            (vec![(IF_MATCH, "\"1-1\", \"2a-ff\"")], Read::Goes),
            (vec![(IF_MATCH, "*")], Read::Goes),
            (vec![(IF_MATCH, "\"2a-fe\"")], Read::Unmet),
            (vec![(IF_MATCH, "W/\"2a-ff\"")], Read::Unmet),
            (vec![(IF_NONE_MATCH, "\"2a-ff\"")], Read::NotModified),
            (vec![(IF_NONE_MATCH, "\"2a-fe\"")], Read::Goes),
            (vec![(IF_NONE_MATCH, "\"2a-fe\""), (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")], Read::Goes),
            (vec![(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")], Read::NotModified),
            (vec![(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")], Read::Goes),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Read::Goes),
        ] {
            assert_eq!(judge(&headers(&pairs), &attr()).unwrap(), expected, "{pairs:?}");
        }
        for (value, is) in [("\"2a-ff\"", true), ("\"2a-f\"", false), ("Sun, 06 Nov 1994 08:49:37 GMT", true), ("x", false)] {
            assert_eq!(is_still(headers(&[(IF_RANGE, value)]).get(IF_RANGE).map(|value| value.to_str().unwrap()), &attr()), is, "{value}");
        }
    }

    #[test]
    fn a_change_is_conditional_only_as_it_is_understood() {
        let holds = |pairs: &[(HeaderName, &'static str)], attr: Option<&Attr>| condition(&headers(pairs)).unwrap().holds(attr);
        let attr = attr();
        assert!(holds(&[], None) && holds(&[], Some(&attr)));
        assert!(holds(&[(IF_MATCH, "*")], Some(&attr)) && !holds(&[(IF_MATCH, "*")], None));
        assert!(holds(&[(IF_MATCH, "\"2a-ff\"")], Some(&attr)) && !holds(&[(IF_MATCH, "\"2a-fe\"")], Some(&attr)));
        assert!(!holds(&[(IF_MATCH, "\"other\"")], Some(&attr)));
        assert!(holds(&[(IF_NONE_MATCH, "*")], None) && !holds(&[(IF_NONE_MATCH, "*")], Some(&attr)));
        assert!(condition(&headers(&[(IF_NONE_MATCH, "\"2a-ff\"")])).is_err());
    }
}
