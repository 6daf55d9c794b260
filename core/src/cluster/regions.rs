use std::sync::Arc;

use super::Region;

/// The most regions of one cluster.
const REGIONS_MAX: usize = 16;
/// The longest name of one of several; shorter than what is random in a secret, so neither is taken for the other.
const NAME_MAX_BYTES: usize = 24;
/// Between a secret or the name of a key and its region.
const SEPARATOR: char = '_';

/// The regions of a cluster, as one of its nodes knows them.
///
/// **What bears no region belongs to the first one**, which was there before there were several; so nothing that was made then
/// has to be made anew. What is made in another one bears its name: see [`Regions::mark`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    here: Region,
    all: Arc<[Region]>,
    /// Whether somebody has listed them.
    listed: bool,
}

/// A list of regions that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionsError {
    /// A name that could not be told from the rest of a secret.
    #[error("`{0}` cannot be one of several regions: it must match ^[a-z0-9][a-z0-9-]{{0,23}}$")]
    Name(Region),
    /// One is named twice, or there are too many.
    #[error("regions are listed once each, and at most {REGIONS_MAX}")]
    Number,
    /// The node's own is missing.
    #[error("the node's own region `{0}` is not in the list of regions")]
    Missing(Region),
}

impl Regions {
    /// A cluster of one region; its name may be anything.
    pub fn one(here: impl Into<Region>) -> Self {
        let here = here.into();
        Self { all: Arc::new([here.clone()]), here, listed: false }
    }

    /// These regions, with a node in `here`. An empty list stands for a cluster of one.
    ///
    /// # Errors
    /// [`RegionsError`].
    pub fn new(here: impl Into<Region>, all: &[String]) -> Result<Self, RegionsError> {
        let here = here.into();
        if all.is_empty() {
            return Ok(Self::one(here));
        }
        let all: Arc<[Region]> = all.iter().map(|name| Region::from(name.as_str())).collect();
        if let Some(bad) = all.iter().find(|region| !is_name(region.as_str())) {
            return Err(RegionsError::Name(bad.clone()));
        }
        let is_twice = |(index, region): (usize, &Region)| all[..index].contains(region);
        if all.len() > REGIONS_MAX || all.iter().enumerate().any(is_twice) {
            return Err(RegionsError::Number);
        }
        if !all.contains(&here) {
            return Err(RegionsError::Missing(here));
        }
        Ok(Self { here, all, listed: true })
    }

    /// That of the node.
    pub fn here(&self) -> &Region {
        &self.here
    }

    /// The one that keeps the handles of all.
    pub fn first(&self) -> &Region {
        self.all.first().unwrap_or(&self.here)
    }

    /// All of them.
    pub fn all(&self) -> &[Region] {
        &self.all
    }

    /// All but that of the node.
    pub fn others(&self) -> impl Iterator<Item = &Region> {
        self.all.iter().filter(|region| **region != self.here)
    }

    /// Whether the node's is the only one.
    pub fn is_single(&self) -> bool {
        self.all.len() == 1
    }

    /// Whether somebody has listed them: in a cluster of one nobody needs to.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// The list as nodes tell it each other, with nothing between names that a name may hold; empty if there is none.
    pub fn told(&self) -> String {
        if !self.listed {
            return String::new();
        }
        self.all.iter().map(Region::as_str).collect::<Vec<_>>().join(",")
    }

    /// The region of this name.
    pub fn get(&self, name: &str) -> Option<&Region> {
        self.all.iter().find(|region| region.as_str() == name)
    }

    /// A secret or the name of a key that is made here, so that whoever sees it knows of which region it is.
    pub fn mark(&self, text: String) -> String {
        if self.here == *self.first() { text } else { format!("{text}{SEPARATOR}{}", self.here) }
    }

    /// Where what bears this was made.
    pub fn of_marked(&self, text: &str) -> &Region {
        let named = text.rsplit_once(SEPARATOR).and_then(|(_, name)| self.get(name));
        named.unwrap_or_else(|| self.first())
    }
}

fn is_name(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= NAME_MAX_BYTES && text.bytes().next().is_some_and(is_good) && text.bytes().all(|byte| is_good(byte) || byte == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn regions(here: &str, all: &[&str]) -> Result<Regions, RegionsError> {
        Regions::new(here, &all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_made_in_a_region_says_so_to_every_other() {
        let names = ["eu", "us", "asia-1"];
        for here in names {
            let made = regions(here, &names).unwrap().mark("tbo_Ab3".to_owned());
            assert_eq!(made == "tbo_Ab3", here == "eu", "{made}");
            for other in names {
                assert_eq!(regions(other, &names).unwrap().of_marked(&made).as_str(), here);
            }
        }
    }

    #[test]
    fn what_names_no_region_that_there_is_belongs_to_the_first() {
        let regions = regions("us", &["eu", "us"]).unwrap();
        for text in ["", "tbo_Ab3", "tbo_admin_Ab3", "sk_00ff", "tbo_Ab3_mars", "us", "tbo_Ab3_us_"] {
            assert_eq!(regions.of_marked(text).as_str(), "eu", "{text}");
        }
    }

    #[test]
    fn one_region_marks_nothing_and_may_have_any_name() {
        let alone = regions("My Cellar", &[]).unwrap();
        assert!(alone.is_single() && !alone.is_listed() && alone.told().is_empty());
        assert_eq!(alone.mark("tbo_Ab3".to_owned()), "tbo_Ab3");
        assert_eq!(alone.of_marked("tbo_Ab3_us").as_str(), "My Cellar");
        assert_eq!(alone.others().count(), 0);
    }

    #[test]
    fn lists_that_cannot_be_are_refused() {
        assert_eq!(regions("ap", &["eu", "us"]), Err(RegionsError::Missing("ap".into())));
        assert_eq!(regions("eu", &["eu", "us", "eu"]), Err(RegionsError::Number));
        for bad in ["", "US", "a_b", "-a", "a,b", &"x".repeat(25)] {
            assert_eq!(regions("eu", &["eu", bad]), Err(RegionsError::Name(bad.into())));
        }
        let many: Vec<_> = (0..17).map(|number| format!("r{number}")).collect();
        assert_eq!(Regions::new("r0", &many), Err(RegionsError::Number));
        assert_eq!(Regions::new("r0", &many[..16]).unwrap().told().len(), 16 * 3 + 6 - 1);
    }
}
