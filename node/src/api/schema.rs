//! Schemas of types that belong to other crates, for the description of the API.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::error::ALL_CODES;

/// What a grant, a ticket, a session or a key allows.
#[derive(ToSchema)]
#[schema(as = Mode, rename_all = "snake_case")]
#[allow(dead_code, reason = "stands for the type in `core`")]
pub(crate) enum ModeSchema {
    /// Reading only; the control nodes enforce it.
    Ro,
    /// Reading and writing.
    Rw,
}

/// How it is known that every call in a mount fails.
#[derive(ToSchema)]
#[schema(as = Out, rename_all = "snake_case")]
#[allow(dead_code, reason = "stands for the type in `core`")]
pub(crate) enum OutSchema {
    /// The mount has said so.
    Confirmed,
    /// Its lease is over. A mount serves nothing without one, whether or not anybody can reach it.
    LeaseEnded,
}

/// Who did what an entry of the audit trail tells of.
#[derive(ToSchema)]
#[schema(as = AuditActor)]
#[allow(dead_code, reason = "stands for the entry's type in the description")]
pub(crate) struct AuditActorSchema {
    /// What kind of one.
    #[schema(inline)]
    kind: AuditActorKind,
    /// Which API key.
    key_id: Option<String>,
    /// Which mount ticket.
    ticket_id: Option<String>,
}

/// What can do something.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "stands for the entry's type in the description")]
enum AuditActorKind {
    /// Whoever bears the API key.
    ApiKey,
    /// Whoever bears the mount ticket.
    Ticket,
    /// Whoever bears the admin token.
    Operator,
    /// A control node, by itself.
    Node,
}

/// The file that a runtime mounts with; inject it as it is.
#[derive(ToSchema)]
#[schema(as = TicketFile)]
#[allow(dead_code, reason = "stands for the type in `core`")]
pub(super) struct TicketFileSchema {
    /// Always 1.
    version: u32,
    /// `tkt_…`; for people.
    id: String,
    /// `handle/name`; for people.
    workspace: String,
    /// For people.
    #[schema(inline = false)]
    mode: ModeSchema,
    /// For people.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Where to connect, most preferred first.
    endpoints: Vec<String>,
    /// The compact JWS (EdDSA); its claims are the authority.
    token: String,
}

/// A JSON Web Key set (RFC 7517).
#[derive(ToSchema)]
#[schema(as = Jwks)]
#[allow(dead_code, reason = "stands for the type in `core`")]
pub(super) struct JwksSchema {
    /// The keys whose signatures count now.
    keys: Vec<JwkSchema>,
}

/// An ed25519 public key (RFC 8037).
#[derive(ToSchema)]
#[schema(as = Jwk)]
#[allow(dead_code, missing_docs, reason = "stands for the type in `core`; the names are the RFC's")]
pub(super) struct JwkSchema {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    alg: String,
    r#use: String,
}

/// The codes of errors.
pub(super) struct ErrorCodeSchema;

impl PartialSchema for ErrorCodeSchema {
    fn schema() -> RefOr<Schema> {
        let codes = ALL_CODES.map(|code| code.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).description(Some("What went wrong, for programs.")).into()
    }
}

impl ToSchema for ErrorCodeSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ErrorCode")
    }
}

/// Bytes as they are.
pub(super) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into()
    }
}

impl ToSchema for Binary {}
