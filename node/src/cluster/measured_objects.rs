use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};

use crate::object_call::ObjectCall;

/// Counts and times the calls for metadata that go to another object store. Changes nothing of them.
pub(super) struct MeasuredObjects {
    inner: Arc<dyn ObjectStore>,
}

impl MeasuredObjects {
    /// Measures what goes to `inner`.
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }
}

fn begin(call: &'static str) -> ObjectCall {
    ObjectCall::begin("metadata", call)
}

fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(Error::NotFound { .. }) => "absent",
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) => "refused",
        Err(_) => "failed",
    }
}

async fn measured<T>(call: &'static str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    let call = begin(call);
    let result = answer.await;
    call.end(outcome(&result));
    result
}

/// The call ends with the first item, or with none.
fn measured_stream<T: Send + 'static>(call: &'static str, items: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
    let call = begin(call);
    futures_util::stream::once(async move {
        // What has ended is not asked again.
        let mut items = items.fuse();
        let first = items.next().await;
        call.end(first.as_ref().map_or("done", outcome));
        futures_util::stream::iter(first).chain(items)
    })
    .flatten()
    .boxed()
}

impl fmt::Display for MeasuredObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl fmt::Debug for MeasuredObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for MeasuredObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        measured("put", self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        measured("put", self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { "head" } else { "get" };
        measured(call, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        measured_stream("delete", self.inner.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        measured_stream("list", self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        measured_stream("list", self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        measured("list", self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        measured("copy", self.inner.copy_opts(from, to, options)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::TryStreamExt as _;
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_list_of_nothing_is_not_asked_twice() {
        // This kind of stream does not bear it.
        let nothing = futures_util::stream::unfold((), |()| std::future::ready(None::<(Result<u8>, ())>)).boxed();
        assert!(measured_stream("list", nothing).try_collect::<Vec<_>>().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn it_changes_nothing() {
        let objects = MeasuredObjects::new(Arc::new(InMemory::new()));
        let (one, two) = (Path::from("a/1"), Path::from("a/2"));
        assert!(objects.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
        objects.put(&one, PutPayload::from("one")).await.unwrap();
        objects.copy(&one, &two).await.unwrap();
        assert_eq!(objects.get(&two).await.unwrap().bytes().await.unwrap(), "one");
        assert_eq!(objects.head(&one).await.unwrap().size, 3);
        let names = |found: Vec<ObjectMeta>| found.into_iter().map(|meta| meta.location).collect::<Vec<_>>();
        assert_eq!(names(objects.list(None).try_collect().await.unwrap()), [one.clone(), two.clone()]);
        assert_eq!(names(objects.list_with_offset(None, &one).try_collect().await.unwrap()), std::slice::from_ref(&two));
        objects.delete(&one).await.unwrap();
        assert_eq!(outcome(&objects.head(&one).await), "absent");
        let again = PutOptions { mode: object_store::PutMode::Create, ..PutOptions::default() };
        assert_eq!(outcome(&objects.put_opts(&two, PutPayload::from("two"), again).await), "refused");
    }
}
