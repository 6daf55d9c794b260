//! Several clients at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use artifacts_tests::Mount;
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::programs::{Client, Histories, add};
use artifacts_tests::time::{Duration, sleep};

/// How many operations each client does in a round; then everybody rests, and it is known what there is.
const STEPS: usize = 60;
/// How many a visitor does.
const VISIT_STEPS: usize = 25;
/// Whoever stays goes on until all visitors have gone, but does no more than so many.
const STAY_STEPS: usize = 1_500;
/// How often each visitor comes in a round.
const VISITS: usize = 2;

/// Every client of a round, on mounts that stay.
pub(crate) fn all_stay(clients: Vec<Client>) -> Result<Histories> {
    let work = |mut client: Client| -> Result<Histories> {
        for _ in 0..STEPS {
            client.step()?;
        }
        client.finish()
    };
    std::thread::scope(|scope| merged(clients.into_iter().map(|client| scope.spawn(move || work(client))).collect()))
}

/// Makes a client on a mount, from a seed.
type MakeClient<'a> = Box<dyn Fn(&Mount, u64) -> Result<Client> + Send + 'a>;

/// Who mounts, and who works there.
pub(crate) struct Visitor<'a> {
    pub(crate) mount: Box<dyn Fn() -> Result<Mount> + Send + 'a>,
    pub(crate) client: MakeClient<'a>,
    pub(crate) random: Random,
}

/// Clients on one mount that stays, while others come and go: the lease on the workspace is granted and recalled under
/// them.
pub(crate) fn others_come_and_go(stay: Vec<Client>, visitors: Vec<Visitor<'_>>) -> Result<Histories> {
    let visiting = AtomicUsize::new(visitors.len());
    let work = |mut client: Client| -> Result<Histories> {
        for step in 0..STAY_STEPS {
            if visiting.load(Ordering::SeqCst) == 0 && step > STEPS {
                break;
            }
            client.step()?;
            // Otherwise all of it is done before the first visitor has mounted.
            sleep(Duration::from_micros(300));
        }
        client.finish()
    };
    let visit = |mut visitor: Visitor<'_>| -> Result<Histories> {
        let mut done = Histories::new();
        for _ in 0..VISITS {
            sleep(Duration::from_millis(visitor.random.below(150)));
            let mount = (visitor.mount)()?;
            let mut client = (visitor.client)(&mount, visitor.random.next())?;
            for _ in 0..VISIT_STEPS {
                client.step()?;
            }
            add(&mut done, client.finish()?);
            mount.unmount()?;
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let work = &work;
        let stay: Vec<_> = stay.into_iter().map(|client| scope.spawn(move || work(client))).collect();
        let visits = visitors.into_iter().map(|visitor| {
            let (visit, visiting) = (&visit, &visiting);
            scope.spawn(move || {
                let done = visit(visitor);
                visiting.fetch_sub(1, Ordering::SeqCst);
                done
            })
        });
        merged(visits.collect::<Vec<_>>().into_iter().chain(stay).collect())
    })
}

fn merged(threads: Vec<std::thread::ScopedJoinHandle<'_, Result<Histories>>>) -> Result<Histories> {
    let mut all = Histories::new();
    for thread in threads {
        add(&mut all, thread.join().ok().context("a client panicked")??);
    }
    Ok(all)
}
