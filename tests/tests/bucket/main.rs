//! Nodes that keep everything in a bucket, or in a directory that stands for one: what is on their own disks can be lost.

mod moving;
mod place;
mod supersession;
mod total_loss;
mod trouble;
