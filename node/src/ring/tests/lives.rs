use artifacts_core::Timestamp;

use crate::random::SystemEntropy;
use crate::ring::lives::Lives;

#[test]
fn generations_grow_over_restarts_even_if_the_clock_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::from_unix_ms(1_000_000);
    let mut lives = Lives::open(directory.path(), None, &SystemEntropy).unwrap();
    let name = lives.node().clone();
    let first = lives.next(0, now, &SystemEntropy).unwrap();
    let second = lives.next(0, now, &SystemEntropy).unwrap();
    assert!(first.generation == 1_000_000 && second.generation > first.generation && first.salt != second.salt);
    let mut again = Lives::open(directory.path(), None, &SystemEntropy).unwrap();
    assert_eq!(*again.node(), name);
    let third = again.next(0, Timestamp::from_unix_ms(5), &SystemEntropy).unwrap();
    assert!(third.generation > second.generation);
    assert_eq!(again.next(9_000_000, now, &SystemEntropy).unwrap().generation, 9_000_001);
    let named = Lives::open(directory.path(), Some(&"chosen".parse().unwrap()), &SystemEntropy).unwrap();
    assert_eq!(named.node().as_str(), "chosen");
    std::fs::write(directory.path().join("ring.json"), "junk").unwrap();
    assert!(Lives::open(directory.path(), None, &SystemEntropy).is_err());
}
