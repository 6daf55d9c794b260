//! What a node and a mount make of input that is too long, too large, out of range, cut short or no input at all: a
//! clear error for each, nothing lost, and the next good request works.

mod connections;
mod floods;
mod frames;
mod hellos;
mod http;
mod names;
mod ops;
mod requests;
mod waiting;
