use anyhow::{Context as _, Result, ensure};
use artifacts_tests::local;

use super::nodes::{LIMIT, Nodes};

/// The new key is accepted everywhere, then used everywhere, then the old one goes; one node at a time, and after each
/// all are together again.
#[test]
fn the_ring_key_is_replaced_by_rolling_restarts_without_a_split() -> Result<()> {
    local("ring-rotation", LIMIT, |scratch| {
        let mut nodes = Nodes::start(scratch, 3, |_, address| address)?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        let first = ring_keys(&nodes, 0)?;
        for keys in [&[7, 8][..], &[8, 7], &[8]] {
            nodes.set_keys(keys)?;
            for index in 0..3 {
                nodes.node(index).terminate()?;
                nodes.node(index).start_again()?;
                nodes.wait_serving(&[0, 1, 2], 3)?;
            }
        }
        let last = ring_keys(&nodes, 0)?;
        ensure!(last.len() == 1 && first.len() == 1 && last != first, "{first:?} {last:?}");
        // Who has only the old key stays outside.
        nodes.set_keys(&[7])?;
        nodes.node(2).terminate()?;
        nodes.node(2).start_again()?;
        nodes.wait_serving(&[2], 1)?;
        nodes.wait_serving(&[0, 1], 2)?;
        Ok(())
    })
}

fn ring_keys(nodes: &Nodes, index: usize) -> Result<Vec<String>> {
    let status = nodes.status(index)?;
    let keys = status["ring_keys"].as_array().context("ring_keys")?;
    Ok(keys.iter().map(ToString::to_string).collect())
}
