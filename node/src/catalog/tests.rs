#![allow(clippy::unwrap_used)]

use artifacts_core::TenantId;

use super::*;
use crate::records::Quotas;
use crate::store::{Batch, Durability, MemoryStore};
use artifacts_core::Timestamp;

const ACCOUNT: AccountId = AccountId::from_bits(1);

fn tenant(account: AccountId, slug: &str) -> TenantRecord {
    TenantRecord {
        id: TenantId::from_bits(1),
        account,
        slug: slug.parse().unwrap(),
        external_id: None,
        metadata: None,
        quotas: Quotas::default(),
        created_at: Timestamp::from_unix_ms(1),
    }
}

async fn catalog_with(tenants: impl IntoIterator<Item = TenantRecord>) -> Catalog {
    let store = Arc::new(MemoryStore::new());
    let mut batch = Batch::new();
    tenants.into_iter().for_each(|tenant| batch.put_tenant(&tenant));
    store.write(batch, Durability::Durable).await.unwrap();
    Catalog::new(store)
}

fn first(limit: usize) -> PageRequest {
    PageRequest { limit, cursor: None }
}

async fn walk(catalog: &Catalog, limit: usize, keep: impl Fn(&TenantRecord) -> bool + Send + Sync) -> (Vec<String>, usize) {
    let (mut request, mut slugs, mut pages) = (first(limit), Vec::new(), 0);
    loop {
        let page = catalog.tenants(ACCOUNT, &request, &keep).await.unwrap();
        assert!(page.items.len() <= limit);
        slugs.extend(page.items.into_iter().map(|tenant| tenant.slug.to_string()));
        pages += 1;
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return (slugs, pages),
        }
    }
}

#[tokio::test]
async fn pages_join_to_the_whole_list_and_no_cursor_leads_nowhere() {
    let slugs: Vec<String> = (0..SCAN_ROWS + 3).map(|number| format!("t{number:05}")).collect();
    let others = (0..5).map(|number| tenant(AccountId::from_bits(2), &format!("x{number}")));
    let catalog = catalog_with(slugs.iter().map(|slug| tenant(ACCOUNT, slug)).chain(others)).await;
    for (limit, pages) in [(1, slugs.len()), (5, slugs.len() / 5), (SCAN_ROWS, 2), (slugs.len(), 1), (slugs.len() + 1, 1)] {
        assert_eq!(walk(&catalog, limit, |_| true).await, (slugs.clone(), pages), "limit {limit}");
    }
}

#[tokio::test]
async fn a_filter_leaves_no_empty_last_page() {
    let catalog = catalog_with((0..10).map(|number| tenant(ACCOUNT, &format!("t{number}")))).await;
    let even = |tenant: &TenantRecord| tenant.slug.as_str().ends_with(['0', '2', '4']);
    assert_eq!(walk(&catalog, 3, even).await, (vec!["t0".to_owned(), "t2".into(), "t4".into()], 1));
    assert_eq!(walk(&catalog, 2, even).await.1, 2);
}

#[tokio::test]
async fn a_damaged_record_is_reported_and_not_missing() {
    let store = Arc::new(MemoryStore::new());
    let mut batch = Batch::new();
    batch.put(key::account(ACCOUNT), "{");
    store.write(batch, Durability::Durable).await.unwrap();
    assert!(matches!(Catalog::new(store).account(ACCOUNT).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_long_answer_comes_back_whole_and_leaves_nothing_behind() {
    let store = Arc::new(MemoryStore::new());
    let catalog = Catalog::new(store.clone());
    let (slot, at) = ([7; 32], Timestamp::from_unix_ms(1_000));
    let sealed: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    catalog.keep_answer(&slot, [1; 32], at, &sealed, None).await.unwrap();
    let head = catalog.answer_head(&slot).await.unwrap().unwrap();
    assert_eq!(catalog.sealed_answer(&slot, &head).await.unwrap().unwrap(), sealed);

    let later = at.plus_ms(1);
    catalog.keep_answer(&slot, [2; 32], later, b"short", Some(&head)).await.unwrap();
    assert!(catalog.expired_answers(later).await.unwrap().is_empty());
    catalog.forget_answer(&ExpiredAnswer { slot, expires_at: at }).await.unwrap();
    assert!(catalog.answer_head(&slot).await.unwrap().is_some(), "the newer answer stays");

    let expired = catalog.expired_answers(later.plus_ms(1)).await.unwrap();
    assert_eq!(expired, [ExpiredAnswer { slot, expires_at: later }]);
    catalog.forget_answer(&expired[0]).await.unwrap();
    assert!(store.scan(KeyRange::all(), 10).await.unwrap().is_empty());
}
