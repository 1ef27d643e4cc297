//! Long lists, taken page by page.

use tonic::Status;
use vouchsafe_proto::v1::PageRequest;

use crate::error::CliError;

/// The daemon gives at most this many at once.
const PAGE_SIZE_MAX: u32 = 500;
/// How much of a list is shown where `--limit` is not given.
pub(crate) const LIMIT: u32 = 100;

/// The beginning of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Whether the list goes on.
    pub(crate) more: bool,
}

impl<T> Page<T> {
    pub(crate) fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), more: self.more }
    }
}

/// Fetches pages until there are `limit` items or no more; 0 is no limit.
pub(crate) async fn gather<T>(
    limit: u32,
    mut fetch: impl AsyncFnMut(PageRequest) -> Result<(Vec<T>, String), Status>,
) -> Result<Page<T>, CliError> {
    let limit_items =
        if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let left = u32::try_from(limit_items.saturating_sub(items.len())).unwrap_or(u32::MAX);
        let request = PageRequest { size: left.min(PAGE_SIZE_MAX), token };
        let (page, next) = fetch(request.clone()).await?;
        items.extend(page);
        let more = !next.is_empty();
        if !more || items.len() >= limit_items {
            let more = more || items.len() > limit_items;
            items.truncate(limit_items);
            return Ok(Page { items, more });
        }
        if next == request.token {
            return Err(CliError::failed("the daemon gave the same page twice"));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of 1,200 numbers, `size` at a time.
    fn serve(request: &PageRequest) -> (Vec<u32>, String) {
        let from: u32 = if request.token.is_empty() { 0 } else { request.token.parse().unwrap() };
        let to = (from + request.size).min(1_200);
        let next = if to < 1_200 { to.to_string() } else { String::new() };
        ((from..to).collect(), next)
    }

    #[tokio::test]
    async fn pages_are_gathered_up_to_the_limit() {
        for (limit, count, more) in
            [(100, 100, true), (700, 700, true), (0, 1_200, false), (1_200, 1_200, false)]
        {
            let page = gather(limit, async |request| Ok(serve(&request))).await.unwrap();
            assert_eq!((page.items.len(), page.more), (count, more), "limit {limit}");
        }
    }

    #[tokio::test]
    async fn a_list_that_never_moves_on_is_an_error() {
        let stuck = gather(0, async |_| Ok((vec![1], "again".to_owned()))).await;
        assert!(stuck.is_err());
    }
}
