use serde::{Deserialize, Serialize};

/// Where spans go, and of how many calls. What is absent is taken from the environment, by the names of OpenTelemetry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// The collector, `http(s)://…` (OTLP over HTTP); `/v1/traces` is added where the address has no path. Absent, and absent from
    /// the environment: nothing is traced.
    pub endpoint: Option<String>,
    /// How many of the traces that begin here are recorded, from 0 to 1.
    pub ratio: Option<f64>,
}

/// Tracing cannot begin as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// No address of a collector.
    #[error("{0} is no address for traces; give http://HOST:PORT or https://HOST:PORT of an OTLP/HTTP collector, as a rule with port 4318")]
    Endpoint(String),
    /// No ratio.
    #[error("{0} is no share of traces; give a number from 0 to 1")]
    Ratio(String),
    /// The program was built without what sends traces.
    #[error("this program cannot send traces: it was built for sandboxes, without that; use the other one")]
    Absent,
    /// The system or a library refuses.
    #[error("cannot start to trace: {0}")]
    System(String),
}

/// A file system serves too many calls for all of them to be recorded unless somebody says so.
const DEFAULT_RATIO: f64 = 0.01;

/// What the options and the environment say together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Where each batch is sent to.
    pub(crate) endpoint: String,
    pub(crate) ratio: f64,
}

impl TraceOptions {
    /// `None` where nothing is to be traced.
    ///
    /// # Errors
    /// [`TraceError::Endpoint`], [`TraceError::Ratio`].
    pub(crate) fn settings(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, TraceError> {
        let variable = |name: &str| environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let given = self.endpoint.clone().filter(|endpoint| !endpoint.is_empty());
        // As the specification of the exporter has it: a general address gets the path of the signal, the signal's own none.
        let endpoint = match (given, variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), variable("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            _ if is_off => return Ok(None),
            (Some(given), ..) => with_path(&given)?,
            (None, Some(own), _) => checked(&own)?.to_owned(),
            (None, None, Some(general)) => format!("{}/v1/traces", checked(&general)?.trim_end_matches('/')),
            (None, None, None) => return Ok(None),
        };
        let ratio = match self.ratio {
            Some(ratio) => share(ratio).ok_or_else(|| TraceError::Ratio(ratio.to_string()))?,
            None => sampler(variable("OTEL_TRACES_SAMPLER").as_deref(), variable("OTEL_TRACES_SAMPLER_ARG"))?,
        };
        Ok(Some(Settings { endpoint, ratio }))
    }
}

fn share(ratio: f64) -> Option<f64> {
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}

/// The share of traces by the names of samplers that OpenTelemetry has. Each of them goes by the parent where there is one.
fn sampler(name: Option<&str>, argument: Option<String>) -> Result<f64, TraceError> {
    match name {
        None => Ok(DEFAULT_RATIO),
        Some("always_on" | "parentbased_always_on") => Ok(1.0),
        Some("always_off" | "parentbased_always_off") => Ok(0.0),
        Some("traceidratio" | "parentbased_traceidratio") => match argument {
            None => Ok(1.0),
            Some(text) => text.parse().ok().and_then(share).ok_or(TraceError::Ratio(text)),
        },
        Some(other) => Err(TraceError::System(format!(
            "OTEL_TRACES_SAMPLER is {other}, which this program does not know; it knows always_on, always_off, traceidratio and each \
             with parentbased_ before it"
        ))),
    }
}

fn checked(endpoint: &str) -> Result<&str, TraceError> {
    let wrong = || TraceError::Endpoint(endpoint.to_owned());
    let url = reqwest::Url::parse(endpoint).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(endpoint) } else { Err(wrong()) }
}

fn with_path(endpoint: &str) -> Result<String, TraceError> {
    let path_is_missing = reqwest::Url::parse(checked(endpoint)?).is_ok_and(|url| url.path() == "/");
    Ok(if path_is_missing { format!("{}/v1/traces", endpoint.trim_end_matches('/')) } else { endpoint.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: (Option<&str>, Option<f64>), environment: &[(&str, &str)]) -> Result<Option<(String, f64)>, TraceError> {
        let options = TraceOptions { endpoint: options.0.map(str::to_owned), ratio: options.1 };
        let variable = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        options.settings(variable).map(|settings| settings.map(|settings| (settings.endpoint, settings.ratio)))
    }

    fn on(endpoint: &str, ratio: f64) -> Result<Option<(String, f64)>, TraceError> {
        Ok(Some((endpoint.to_owned(), ratio)))
    }

    const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/take");

    #[test]
    fn nothing_is_traced_unless_somebody_says_where_to() {
        assert_eq!(settings((None, None), &[]), Ok(None));
        assert_eq!(settings((None, Some(1.0)), &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        assert_eq!(settings((Some("http://c"), None), &[("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(settings((None, None), &[GENERAL, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn options_go_before_the_signals_variable_and_that_before_the_general_one() {
        assert_eq!(settings((None, None), &[GENERAL]), on("http://c:4318/v1/traces", DEFAULT_RATIO));
        assert_eq!(settings((None, None), &[GENERAL, OWN]), on("http://t:1/take", DEFAULT_RATIO));
        assert_eq!(settings((Some("http://o:4318"), None), &[GENERAL, OWN]), on("http://o:4318/v1/traces", DEFAULT_RATIO));
        assert_eq!(settings((Some("https://o/otlp/v1/traces"), Some(0.5)), &[]), on("https://o/otlp/v1/traces", 0.5));
    }

    #[test]
    fn samplers_are_known_by_their_names() {
        let ratio = |name, argument| {
            let environment = [GENERAL, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            settings((None, None), &environment).map(|settings| settings.map(|(_, ratio)| ratio))
        };
        assert_eq!(ratio("always_on", ""), Ok(Some(1.0)));
        assert_eq!(ratio("parentbased_always_off", ""), Ok(Some(0.0)));
        assert_eq!(ratio("parentbased_traceidratio", "0.25"), Ok(Some(0.25)));
        assert!(ratio("traceidratio", "2").is_err() && ratio("xray", "").is_err());
    }

    #[test]
    fn what_is_no_address_or_no_ratio_is_refused() {
        for endpoint in ["c:4318", "ftp://c", "http://", "/v1/traces"] {
            assert_eq!(settings((Some(endpoint), None), &[]), Err(TraceError::Endpoint(endpoint.to_owned())));
        }
        for ratio in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(settings((Some("http://c"), Some(ratio)), &[]), Err(TraceError::Ratio(_))));
        }
    }
}
