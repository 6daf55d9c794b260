use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// What an exchange with the server that failed means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such object.
    Missing,
    /// There is such an object already, so it was not created.
    Exists,
    /// There is such an object, with other content.
    Taken,
    /// The range does not lie within the object.
    OutOfRange,
    /// It may go well if it is tried again; until then nobody knows whether it was done.
    Passing(String),
    /// It will not go well until somebody changes something.
    Lasting {
        /// The server's word for it, if it had one.
        code: String,
        /// For people.
        reason: String,
    },
}

impl Failure {
    /// The word for it in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Missing => "absent",
            Self::Exists | Self::Taken | Self::OutOfRange => "refused",
            Self::Passing(_) | Self::Lasting { .. } => "failed",
        }
    }

    /// Sorts an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let code = error.code().unwrap_or_default();
        let reason = format!("{}", DisplayErrorContext(error));
        match error.raw_response() {
            Some(response) => Self::of_status(response.status().as_u16(), code, reason),
            None if matches!(error, SdkError::ConstructionFailure(_)) => Self::Lasting { code: code.to_owned(), reason },
            // Not reached, cut off, or too late.
            None => Self::Passing(reason),
        }
    }

    fn of_status(status: u16, code: &str, reason: String) -> Self {
        match (status, code) {
            // The whole bucket is gone: of the object that says nothing.
            (404, "NoSuchBucket") => Self::Lasting { code: code.to_owned(), reason },
            (404, _) => Self::Missing,
            (412, _) => Self::Exists,
            (416, _) => Self::OutOfRange,
            // 409: another put of the same name is under way.
            (408 | 409 | 429 | 500.., _) if status != 501 => Self::Passing(reason),
            // An answer that cannot be read.
            (200..300, _) | (400, "RequestTimeout") => Self::Passing(reason),
            _ => Self::Lasting { code: if code.is_empty() { status.to_string() } else { code.to_owned() }, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let of = |status, code| Failure::of_status(status, code, String::new());
        for (status, code) in
            [(500, "InternalError"), (503, "SlowDown"), (409, "ConditionalRequestConflict"), (429, ""), (400, "RequestTimeout")]
        {
            assert!(matches!(of(status, code), Failure::Passing(_)), "{status} {code}");
        }
        for (status, code) in [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "InvalidArgument"), (501, "NotImplemented"), (301, "")] {
            assert!(matches!(of(status, code), Failure::Lasting { .. }), "{status} {code}");
        }
        assert_eq!(of(404, "NoSuchKey"), Failure::Missing);
        assert_eq!(of(404, ""), Failure::Missing);
        assert_eq!(of(412, "PreconditionFailed"), Failure::Exists);
        assert_eq!(of(416, "InvalidRange"), Failure::OutOfRange);
    }
}
