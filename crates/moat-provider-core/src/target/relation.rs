//! The five ways in which two sets of requests can lie.

/// How one set of requests relates to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// No request is in both.
    Disjoint,
    /// Both are the same set.
    Same,
    /// The first lies within the second, which holds more.
    Narrower,
    /// The second lies within the first, which holds more.
    Wider,
    /// They share requests, and each has some of its own.
    Partial,
}

impl Relation {
    /// Names the relation of two sets that are not empty.
    pub(crate) const fn of_sets(overlap: bool, first_within: bool, second_within: bool) -> Self {
        match (overlap, first_within, second_within) {
            (false, ..) => Self::Disjoint,
            (true, true, true) => Self::Same,
            (true, true, false) => Self::Narrower,
            (true, false, true) => Self::Wider,
            (true, false, false) => Self::Partial,
        }
    }

    /// The relation of two products whose factors relate like this.
    pub(crate) const fn and(self, factor: Self) -> Self {
        match (self, factor) {
            (Self::Disjoint, _) | (_, Self::Disjoint) => Self::Disjoint,
            (Self::Same, other) | (other, Self::Same) => other,
            (Self::Narrower, Self::Narrower) => Self::Narrower,
            (Self::Wider, Self::Wider) => Self::Wider,
            _ => Self::Partial,
        }
    }

    /// Whether some request is in both.
    #[must_use]
    pub const fn overlaps(self) -> bool {
        !matches!(self, Self::Disjoint)
    }

    /// Whether the first set lies within the second.
    #[must_use]
    pub const fn is_within(self) -> bool {
        matches!(self, Self::Same | Self::Narrower)
    }
}
