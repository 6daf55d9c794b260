use artifacts_core::namespace::Piece;

/// Looks for the next data or the next hole of a file (lseek(2)), range by range as the node names its pieces.
#[derive(Debug)]
pub(super) struct Seek {
    at: u64,
    for_data: bool,
}

/// What a range has told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is here.
    Found(u64),
    /// There is none (ENXIO).
    Nothing,
    /// Look at the next range.
    Again,
}

impl Seek {
    pub(super) fn data(from: u64) -> Self {
        Self { at: from, for_data: true }
    }

    pub(super) fn hole(from: u64) -> Self {
        Self { at: from, for_data: false }
    }

    /// The range to ask for.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.at, u64::MAX - self.at)
    }

    pub(super) fn step(&mut self, size: u64, pieces: &[Piece], more: bool) -> Step {
        if self.at >= size {
            return Step::Nothing;
        }
        let asked_from = self.at;
        for piece in pieces {
            let end = piece.offset.saturating_add(u64::from(piece.extent.len));
            if end <= self.at {
                continue;
            }
            if self.for_data {
                return Step::Found(piece.offset.max(self.at));
            }
            if piece.offset > self.at {
                return Step::Found(self.at);
            }
            self.at = end;
        }
        match (more && self.at > asked_from, self.for_data) {
            (true, _) if self.at < size => Step::Again,
            (_, true) => Step::Nothing,
            (_, false) => Step::Found(self.at.min(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artifacts_core::namespace::Extent;
    use bytes::Bytes;

    fn piece(offset: u64, len: usize) -> Piece {
        Piece { offset, extent: Extent::inline(Bytes::from(vec![1; len])) }
    }

    #[test]
    fn data_and_holes_are_found_as_lseek_finds_them() {
        // 10 to 20 and 20 to 30 hold data, 40 to 50 too; the file is 60 long.
        let pieces = [piece(10, 10), piece(20, 10), piece(40, 10)];
        for (from, data, hole) in [
            (0, Step::Found(10), Step::Found(0)),
            (10, Step::Found(10), Step::Found(30)),
            (25, Step::Found(25), Step::Found(30)),
            (30, Step::Found(40), Step::Found(30)),
            (45, Step::Found(45), Step::Found(50)),
            (50, Step::Nothing, Step::Found(50)),
            (60, Step::Nothing, Step::Nothing),
        ] {
            assert_eq!(Seek::data(from).step(60, &pieces, false), data, "data from {from}");
            assert_eq!(Seek::hole(from).step(60, &pieces, false), hole, "hole from {from}");
        }
        assert_eq!(Seek::hole(0).step(10, &[piece(0, 10)], false), Step::Found(10), "the end of a file is a hole");
    }

    #[test]
    fn a_search_goes_on_where_a_range_ended() {
        let mut seek = Seek::hole(0);
        assert_eq!(seek.step(100, &[piece(0, 10)], true), Step::Again);
        assert_eq!(seek.range().0, 10);
        assert_eq!(seek.step(100, &[piece(10, 10)], false), Step::Found(20));
        assert_eq!(Seek::hole(5).step(100, &[], true), Step::Found(5), "a node that promises more and gives nothing");
    }
}
