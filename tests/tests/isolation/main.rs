//! Nobody reaches what is not theirs: every call of the API, every opening of a stream and every endpoint of the
//! data plane, with every credential that should not do. Each is refused with its documented code and changes
//! nothing.

mod data;
mod forged_tickets;
mod namespace;
mod openings;
mod operations;
mod other_accounts;
mod scoped_keys;
mod snapshot;
mod streams;
mod unauthorized;
