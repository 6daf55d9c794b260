use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiError;
use crate::catalog::{Page, PageRequest};

/// How many items a page holds when nobody says.
const USUAL: u32 = 50;
/// How many it holds at most, however many are asked for.
const MOST: u32 = 200;
/// More than this is refused as a mistake.
const LARGEST_LIMIT: u32 = 1_000;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageBody<T> {
    /// In the list's order.
    items: Vec<T>,
    /// Give this as `cursor` to go on; null at the end. A page with few items, even none, may still have one.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<T> PageBody<T> {
    /// The page as callers see it.
    pub(super) fn new<R>(page: Page<R>, show: impl Fn(R) -> T) -> Self {
        Self { items: page.items.into_iter().map(show).collect(), next_cursor: page.next_cursor }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    /// Checks it.
    ///
    /// # Errors
    /// `invalid_request` for a limit out of range.
    pub(super) fn request(self) -> Result<PageRequest, ApiError> {
        request(self.limit, self.cursor)
    }
}

/// Checks what was asked of a list.
///
/// # Errors
/// `invalid_request` for a limit out of range.
pub(super) fn request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest, ApiError> {
    match limit.unwrap_or(USUAL) {
        limit @ 1..=LARGEST_LIMIT => Ok(PageRequest { limit: limit.min(MOST) as usize, cursor }),
        _ => Err(ApiError::invalid("limit", format!("must be a number from 1 to {LARGEST_LIMIT}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_at_their_edges() {
        for (limit, given) in
            [(None, Some(50)), (Some(0), None), (Some(1), Some(1)), (Some(200), Some(200)), (Some(1_000), Some(200)), (Some(1_001), None)]
        {
            assert_eq!(request(limit, None).ok().map(|request| request.limit), given, "{limit:?}");
        }
    }
}
