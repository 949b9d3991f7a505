//! Path patterns.

use std::fmt;

use super::Relation;
use crate::{Error, Result};

/// A set of canonical paths.
///
/// Written as an absolute path in which a segment of `*` stands for any one segment:
/// `/repos/*/*/keys`. [`exact`](Self::exact) means that path alone, [`under`](Self::under) the path
/// and all below it, up to segment borders: `/v1` is not a prefix of `/v1beta`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
    extent: Extent,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    Literal(String),
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Extent {
    Exact,
    Under,
}

impl PathPattern {
    /// Every path.
    #[must_use]
    pub const fn any() -> Self {
        Self { segments: Vec::new(), extent: Extent::Under }
    }

    /// One path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the text is not an absolute
    /// path in canonical form: a dot segment, an empty segment other than the last, a query, a
    /// fragment, a percent sign, a backslash or a character outside printable ASCII.
    pub fn exact(path: &str) -> Result<Self> {
        Ok(Self { segments: parse(path)?, extent: Extent::Exact })
    }

    /// A path and everything below it. One slash at the end means the same as none.
    ///
    /// # Errors
    ///
    /// Those of [`exact`](Self::exact).
    pub fn under(prefix: &str) -> Result<Self> {
        let mut segments = parse(prefix)?;
        segments.pop_if(|last| *last == Segment::Literal(String::new()));
        Ok(Self { segments, extent: Extent::Under })
    }

    /// Whether a canonical path, without its query, fits.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut actual = path.split('/');
        for segment in &self.segments {
            match (segment, actual.next()) {
                (Segment::Literal(own), Some(other)) if own == other => {}
                (Segment::Any, Some(other)) if !other.is_empty() => {}
                _ => return false,
            }
        }
        self.extent == Extent::Under || actual.next().is_none()
    }

    /// How these paths relate to another pattern's.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        Relation::of_sets(self.overlaps(other), self.is_within(other), other.is_within(self))
    }

    fn overlaps(&self, other: &Self) -> bool {
        let lengths = match (self.extent, other.extent) {
            (Extent::Exact, Extent::Exact) => self.segments.len() == other.segments.len(),
            (Extent::Exact, Extent::Under) => self.segments.len() >= other.segments.len(),
            (Extent::Under, Extent::Exact) => self.segments.len() <= other.segments.len(),
            (Extent::Under, Extent::Under) => true,
        };
        lengths && self.segments.iter().zip(&other.segments).all(|(a, b)| a.overlaps(b))
    }

    fn is_within(&self, other: &Self) -> bool {
        let lengths = match other.extent {
            Extent::Exact => {
                self.extent == Extent::Exact && self.segments.len() == other.segments.len()
            }
            Extent::Under => self.segments.len() >= other.segments.len(),
        };
        lengths && self.segments.iter().zip(&other.segments).all(|(a, b)| a.is_within(b))
    }
}

impl Segment {
    fn overlaps(&self, other: &Self) -> bool {
        self.is_within(other) || other.is_within(self)
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(own), Self::Any) => !own.is_empty(),
            _ => self == other,
        }
    }
}

fn parse(path: &str) -> Result<Vec<Segment>> {
    let invalid = |reason: &str| Error::invalid(format!("the path pattern {path:?} {reason}"));
    let rest = path.strip_prefix('/').ok_or_else(|| invalid("does not begin with a slash"))?;
    if path.bytes().any(|b| !b.is_ascii_graphic() || br"%?#\;".contains(&b)) {
        return Err(invalid("holds a character that a canonical path does not have"));
    }
    let last = rest.split('/').count() - 1;
    rest.split('/')
        .enumerate()
        .map(|(at, segment)| match segment {
            "*" => Ok(Segment::Any),
            "." | ".." => Err(invalid("has a dot segment")),
            "" if at < last => Err(invalid("has an empty segment")),
            _ if segment.contains('*') => Err(invalid("has a * that is not a whole segment")),
            _ => Ok(Segment::Literal(segment.to_owned())),
        })
        .collect()
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        match self.extent {
            Extent::Exact => Ok(()),
            Extent::Under => f.write_str("/**"),
        }
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
