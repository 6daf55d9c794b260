//! Snapshots and forks: what they hold, that nobody sees what others do in theirs, and how long they take.

mod isolation;
mod scale;
mod snapshots;
