//! An object store that fails on request, for tests of what is built on one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::fault::{Fault, FaultPlan, Faults};

/// The operations of an object store that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectOp {
    /// Reading an object or its head.
    Get,
    /// Writing an object, whole or in parts, or copying one.
    Put,
    /// Listing.
    List,
    /// Deleting.
    Delete,
}

/// Wraps another object store, fails the calls that a [`FaultPlan`] names and counts those that get through.
pub struct FaultyObjects {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults<ObjectOp>>,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl FaultyObjects {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>, plan: FaultPlan<ObjectOp>) -> Self {
        Self { inner, faults: Arc::new(Faults::new(plan)), puts: AtomicU64::new(0), gets: AtomicU64::new(0) }
    }

    /// Puts another plan in force: an outage begins or ends.
    pub fn set_plan(&self, plan: FaultPlan<ObjectOp>) {
        self.faults.replace(plan);
    }

    /// How many calls were made to fail so far.
    pub fn injected(&self) -> u64 {
        self.faults.injected()
    }

    /// How many objects were to be written.
    pub fn puts(&self) -> u64 {
        self.puts.load(Ordering::Relaxed)
    }

    /// How many objects were to be read.
    pub fn gets(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }

    /// Awaits `call`, unless it is to fail before, or to lose its answer.
    async fn through<T>(&self, op: ObjectOp, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.faults.before(op).await {
            None => call.await,
            Some(Fault::Fail | Fault::Throttle) => Err(injected()),
            Some(Fault::LoseAnswer | Fault::Truncate) => {
                call.await?;
                Err(injected())
            }
        }
    }
}

fn injected() -> Error {
    Error::Generic { store: "faulty", source: "injected fault".into() }
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyObjects({})", self.inner)
    }
}

impl fmt::Debug for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.through(ObjectOp::Put, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.through(ObjectOp::Put, self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.through(ObjectOp::Get, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, faults) = (Arc::clone(&self.inner), Arc::clone(&self.faults));
        let delete = move |location: Result<Path>| {
            let (inner, faults) = (Arc::clone(&inner), Arc::clone(&faults));
            async move {
                let location = location?;
                if faults.before(ObjectOp::Delete).await.is_some() {
                    return Err(injected());
                }
                inner.delete(&location).await.map(|()| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (found, faults) = (self.inner.list(prefix), Arc::clone(&self.faults));
        let start = async move {
            match faults.before(ObjectOp::List).await {
                None => Ok(found),
                Some(_) => Err(injected()),
            }
        };
        futures_util::stream::once(start).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.through(ObjectOp::List, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.through(ObjectOp::Put, self.inner.copy_opts(from, to, options)).await
    }
}
