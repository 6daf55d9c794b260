use super::fixture::{life, name};
use crate::mesh::{MeshKey, MeshKeyError, MeshKeys};

const ONE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

#[test]
fn a_list_of_keys_has_the_first_to_seal_with() {
    let keys = MeshKeys::parse(&format!("# ring\n\n{ONE}\n  {OTHER}  \n")).unwrap();
    assert_eq!(keys.sealing(), &MeshKey::new([7; 32]));
    assert_eq!(keys.ids().collect::<Vec<_>>(), [MeshKey::new([7; 32]).id(), MeshKey::new([8; 32]).id()]);
    assert!(keys.get(MeshKey::new([8; 32]).id()).is_some());
    assert!(keys.get(MeshKey::new([9; 32]).id()).is_none());
    assert_eq!(MeshKeys::parse(&format!("{ONE},{OTHER}")).unwrap(), keys);
}

#[test]
fn what_is_no_list_of_keys_is_refused_without_a_word_of_it() {
    assert_eq!(MeshKeys::parse("\n# none\n"), Err(MeshKeyError::Empty));
    assert_eq!(MeshKeys::parse(&format!("{ONE}\nshort")), Err(MeshKeyError::Malformed(2)));
    assert_eq!(MeshKeys::parse(&"!".repeat(44)), Err(MeshKeyError::Malformed(1)));
    assert_eq!(MeshKeys::parse(&format!("{ONE}\n{ONE}")), Err(MeshKeyError::Twice(2)));
    let five: Vec<_> = (0..5u8).map(|byte| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte; 32])).collect();
    assert_eq!(MeshKeys::parse(&five.join("\n")), Err(MeshKeyError::TooMany));
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", MeshKeys::parse(ONE).unwrap());
    assert!(!shown.contains("7, 7") && !shown.contains("BwcH"), "{shown}");
}

#[test]
fn every_use_has_a_key_of_its_own() {
    let key = MeshKey::new([7; 32]);
    let mut derived = vec![
        key.derive("artifacts test one", "m", &name("ab"), &life(1, 1)),
        key.derive("artifacts test two", "m", &name("ab"), &life(1, 1)),
        key.derive("artifacts test one", "ma", &name("b"), &life(1, 1)),
        key.derive("artifacts test one", "m", &name("ab"), &life(2, 1)),
        key.derive("artifacts test one", "m", &name("ab"), &life(1, 2)),
        MeshKey::new([8; 32]).derive("artifacts test one", "m", &name("ab"), &life(1, 1)),
    ];
    derived.sort_unstable();
    derived.dedup();
    assert_eq!(derived.len(), 6);
}
