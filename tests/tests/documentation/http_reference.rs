//! The reference of the HTTP API, made of the description that a node gives of itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

const HEAD: &str = "\
# HTTP reference

<!-- Made of a node's /openapi.json; `make docs-reference` writes it anew. -->

Every call, as a node describes it at `/openapi.json`. [The guide](../api.md) has an example of each, and says what holds for all of them;
what any of them may answer (401, 403, 413, 415, 422, 429, 500, 503) is not repeated below: [error codes](../errors.md).
";
/// The order in which a reader needs them.
const TAGS: [&str; 12] = [
    "accounts",
    "api-keys",
    "tenants",
    "workspaces",
    "grants",
    "tickets",
    "sessions",
    "locks",
    "files",
    "snapshots",
    "cluster",
    "monitoring",
];
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];
const OF_ALL_CALLS: [&str; 8] = ["401", "403", "413", "415", "422", "429", "500", "503"];

/// The page.
///
/// # Errors
/// If the description is not shaped as expected.
pub(crate) fn render(description: &Value) -> Result<String> {
    let mut page = HEAD.to_owned();
    let mut by_tag: BTreeMap<usize, Vec<(String, &Value)>> = BTreeMap::new();
    let mut others = Vec::new();
    for (path, item) in object(&description["paths"])? {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            let at = TAGS.iter().position(|known| *known == tag).unwrap_or_else(|| {
                others.push(tag.to_owned());
                TAGS.len() + others.iter().position(|known| known == tag).unwrap_or_default()
            });
            by_tag.entry(at).or_default().push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    for (at, operations) in by_tag {
        let tag = TAGS.get(at).map_or_else(|| others[at - TAGS.len()].clone(), |tag| (*tag).to_owned());
        writeln!(page, "\n## {}", capital(&tag.replace("api-keys", "API keys")))?;
        for (name, operation) in operations {
            call(&mut page, &name, operation)?;
        }
    }
    page.push_str("\n## Objects\n");
    for (name, schema) in object(&description["components"]["schemas"])? {
        writeln!(page, "\n### {name}\n")?;
        described(&mut page, schema)?;
        if schema.get("properties").is_some() {
            fields(&mut page, schema)?;
        } else {
            writeln!(page, "{}", kind(schema))?;
        }
    }
    Ok(page)
}

fn call(page: &mut String, name: &str, operation: &Value) -> Result<()> {
    writeln!(page, "\n### `{name}`\n\n{}", one_line(&operation["summary"]))?;
    if operation["description"].is_string() {
        writeln!(page, "{}", one_line(&operation["description"]))?;
    }
    let schemes = operation["security"].as_array().into_iter().flatten().filter_map(|scheme| scheme.as_object()?.keys().next());
    let schemes: Vec<String> = schemes.map(|scheme| scheme.replace('_', " ")).collect();
    writeln!(page, "\nCredential: {}.", if schemes.is_empty() { "none".to_owned() } else { schemes.join(" or ") })?;
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        page.push_str("\n| parameter | in | type | is |\n| --- | --- | --- | --- |\n");
        for parameter in parameters {
            let needed = if parameter["required"] == true { "" } else { ", optional" };
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let is = cell(&one_line(&parameter["description"]));
            writeln!(page, "| `{name}` | {place}{needed} | {} | {is} |", cell(&kind(&parameter["schema"])))?;
        }
    }
    for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        writeln!(page, "\nBody, `{media}`: {}.", kind(&content["schema"]))?;
    }
    page.push_str("\n| answer | with | when |\n| --- | --- | --- |\n");
    for (status, answer) in object(&operation["responses"])? {
        if OF_ALL_CALLS.contains(&status.as_str())
            && operation["security"].as_array().is_some_and(|schemes| schemes[0] != Value::Object(Map::new()))
        {
            continue;
        }
        let body = answer["content"].as_object().and_then(|content| content.iter().next());
        let with = body.map_or_else(|| "nothing".to_owned(), |(media, content)| of_media(media, &kind(&content["schema"])));
        writeln!(page, "| {status} | {} | {} |", cell(&with), cell(&one_line(&answer["description"])))?;
    }
    Ok(())
}

fn of_media(media: &str, kind: &str) -> String {
    if media == "application/json" { kind.to_owned() } else { format!("`{media}`") }
}

fn fields(page: &mut String, schema: &Value) -> Result<()> {
    let needed: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("| field | type | is |\n| --- | --- | --- |\n");
    for (name, field) in object(&schema["properties"])? {
        let optional = if needed.contains(&name.as_str()) { "" } else { ", optional" };
        writeln!(page, "| `{name}` | {}{optional} | {} |", cell(&kind(field)), cell(&one_line(&field["description"])))?;
    }
    Ok(())
}

fn described(page: &mut String, schema: &Value) -> Result<()> {
    if schema["description"].is_string() {
        writeln!(page, "{}\n", one_line(&schema["description"]))?;
    }
    Ok(())
}

/// What may stand there, in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let kinds: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
            return kinds.join(if choice == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{}`", text(value))).collect::<Vec<_>>().join(", ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        name => name.as_str().into_iter().collect(),
    };
    match names.as_slice() {
        ["array"] => format!("array of {}", kind(&schema["items"])),
        ["string"] if schema["format"] == "date-time" => "time (RFC 3339)".to_owned(),
        names => format!("{}{}", if names.is_empty() { "anything".to_owned() } else { names.join(" or ") }, bounds(schema)),
    }
}

fn bounds(schema: &Value) -> String {
    let mut bounds = String::new();
    if let Some(pattern) = schema["pattern"].as_str() {
        bounds.push_str(&format!(" `{pattern}`"));
    }
    let number = |name: &str| schema[name].as_number().map(ToString::to_string);
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => bounds.push_str(&format!(", {least} to {most}")),
        (Some(least), None) => bounds.push_str(&format!(", {least} or more")),
        (None, Some(most)) => bounds.push_str(&format!(", {most} at most")),
        (None, None) => {}
    }
    if let Some(most) = number("maxLength") {
        bounds.push_str(&format!(", {most} characters at most"));
    }
    bounds
}

/// The values of an enumeration of the description.
///
/// # Errors
/// If there is none of that name.
pub(crate) fn values<'a>(description: &'a Value, name: &str) -> Result<Vec<&'a str>> {
    let values = description["components"]["schemas"][name]["enum"].as_array();
    Ok(values.with_context(|| format!("no enumeration {name}"))?.iter().filter_map(Value::as_str).collect())
}

/// Every answer of every call: its status and what is said of it.
///
/// # Errors
/// If the description is not shaped as expected.
pub(crate) fn answers(description: &Value) -> Result<Vec<(String, String)>> {
    let mut answers = Vec::new();
    for item in object(&description["paths"])?.values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            for (status, answer) in object(&operation["responses"])? {
                answers.push((status.clone(), text(&answer["description"]).to_owned()));
            }
        }
    }
    Ok(answers)
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().with_context(|| format!("no object: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn one_line(value: &Value) -> String {
    text(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bars would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
