use std::collections::BTreeMap;

use super::fixture::life;
use crate::cluster::ShardMap;
use crate::mesh::{Facts, NodePhase};
use crate::protocol::VersionRange;

fn facts() -> Facts {
    Facts {
        api: "http://10.0.0.1:7700".to_owned(),
        stream: "https://node1.example.com".to_owned(),
        region: "eu".to_owned(),
        protocol: VersionRange { min: 1, max: 3 },
        release: "0.1.0".to_owned(),
        calls: life(77, 9),
        phase: NodePhase::Serving,
        regions: String::new(),
        shards: None,
    }
}

fn read(pairs: &BTreeMap<String, String>) -> Result<Facts, super::super::FactsError> {
    Facts::read(|key| pairs.get(key).map(String::as_str))
}

#[test]
fn facts_are_read_as_they_were_written() {
    for phase in [NodePhase::Joining, NodePhase::Serving, NodePhase::Leaving] {
        let facts = Facts { phase, ..facts() };
        assert_eq!(facts.check(), Ok(()));
        assert_eq!(read(&facts.pairs().into_iter().collect()), Ok(facts));
    }
}

#[test]
fn what_an_earlier_version_does_not_say_may_be_missing() {
    let facts = Facts { regions: "eu,us".to_owned(), shards: ShardMap::new(16), ..facts() };
    let pairs: BTreeMap<_, _> = facts.pairs().into_iter().collect();
    assert_eq!(read(&pairs), Ok(facts));
    for (key, bad) in [("regions", "e u"), ("regions", ""), ("shards", "0"), ("shards", "many"), ("shards", "99999")] {
        let mut wrong = pairs.clone();
        wrong.insert(key.to_owned(), bad.to_owned());
        assert!(read(&wrong).is_err(), "{key} {bad}");
    }
}

#[test]
fn facts_that_others_could_not_read_are_noticed_at_home() {
    assert!(Facts { region: "not a region".to_owned(), ..facts() }.check().is_err());
    assert!(Facts { api: "10.0.0.1:7700".to_owned(), ..facts() }.check().is_err());
}

#[test]
fn facts_that_make_no_sense_are_none() {
    let good: BTreeMap<_, _> = facts().pairs().into_iter().collect();
    for key in good.keys() {
        let mut missing = good.clone();
        missing.remove(key);
        assert!(read(&missing).is_err(), "{key}");
    }
    let long = format!("http://{}", "x".repeat(600));
    for (key, bad) in [
        ("api", "ftp://x"),
        ("api", &long),
        ("stream", "http://a b"),
        ("region", ""),
        ("region", "é"),
        ("protocol", "3-1"),
        ("protocol", "2"),
        ("phase", "dancing"),
        ("calls", "1-00"),
        ("calls", "1-+0000000000000000000000000000000"),
    ] {
        let mut wrong = good.clone();
        wrong.insert(key.to_owned(), bad.to_owned());
        assert!(read(&wrong).is_err(), "{key} {bad}");
    }
}
