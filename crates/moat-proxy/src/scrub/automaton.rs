//! The automaton that looks for all forms of all secrets at once, across pieces.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::packed;
use aho_corasick::{Anchored, MatchKind, Span};

use super::Form;
use super::forms::Written;

/// How long the piece of each pattern is that the prefilter looks for.
const FRAGMENT: usize = 4;
/// How far behind a pattern's beginning that piece may lie.
const FARTHEST: usize = 64;
/// How many bytes are walked before the prefilter is asked again.
const STRIDE: usize = 16;
/// The longest pattern: lengths are kept in 16 bits.
pub(super) const LONGEST: usize = u16::MAX as usize;

/// One form of one secret.
pub(super) struct Pattern {
    /// The index of the secret.
    pub(super) secret: usize,
    pub(super) form: Form,
    /// How many bytes at the end are masked: all but the public prefix.
    pub(super) masked: usize,
}

/// Where a stream stands: which beginnings of patterns its last bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(StateID);

/// What is known in one state.
#[derive(Clone, Copy, Default)]
struct State {
    /// How many bytes of the text are the beginning of a pattern.
    depth: u16,
    /// How many of them may have to be masked.
    held: u16,
    /// How many of them are masked rather than shown: the beginning is too long for an accident.
    sure: u16,
}

/// All patterns.
pub(super) struct Automaton {
    nfa: NFA,
    start: StateID,
    patterns: Vec<Pattern>,
    /// Indexed by state. The library numbers states with gaps, and never more than about twice as
    /// many as there are.
    states: Vec<State>,
    prefilter: Option<Prefilter>,
    /// The length of the shortest pattern.
    shortest: usize,
}

/// Finds a piece of a pattern quickly.
struct Prefilter {
    searcher: packed::Searcher,
    /// The farthest that a piece lies behind its pattern's beginning.
    offset: usize,
}

impl Automaton {
    /// Builds the automaton, or `None` when there is too much for one.
    pub(super) fn new(written: &[(usize, Written)]) -> Option<Self> {
        let bytes = || written.iter().map(|(_, written)| written.bytes.as_slice());
        let nfa = NFA::builder()
            .match_kind(MatchKind::Standard)
            // Ours looks farther, and knows several patterns.
            .prefilter(false)
            .build(bytes())
            .ok()?;
        let start = nfa.start_state(Anchored::No).ok()?;
        let patterns = written
            .iter()
            .map(|(secret, written)| Pattern {
                secret: *secret,
                form: written.form,
                masked: written.bytes.len() - written.public,
            })
            .collect();
        let states = states(&nfa, start, written);
        let shortest = bytes().map(<[u8]>::len).min().unwrap_or(0);
        Some(Self { nfa, start, patterns, states, prefilter: Prefilter::new(written), shortest })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Returns the length that a text has at least in which a pattern stands.
    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    pub(super) fn start(&self) -> Cursor {
        Cursor(self.start)
    }

    /// Returns how many of the last bytes may have to be masked, once more bytes have come.
    pub(super) fn held(&self, at: Cursor) -> usize {
        self.state(at.0).held.into()
    }

    /// Returns how many of the last bytes are the beginning of a secret, and by no accident.
    pub(super) fn sure(&self, at: Cursor) -> usize {
        self.state(at.0).sure.into()
    }

    fn state(&self, id: StateID) -> State {
        self.states.get(id.as_usize()).copied().unwrap_or_default()
    }

    /// Walks over a piece of text and reports where each pattern ends in it, overlapping ones too.
    pub(super) fn scan(
        &self,
        cursor: Cursor,
        text: &[u8],
        mut found: impl FnMut(usize, &Pattern),
    ) -> Cursor {
        if self.is_empty() {
            return cursor;
        }
        let mut id = cursor.0;
        let mut at = 0_usize;
        // The next piece of a pattern, `text.len()` when there is none any more.
        let mut candidate = None;
        loop {
            if let Some(prefilter) = &self.prefilter {
                let depth = usize::from(self.state(id).depth);
                // All that is still possible began in this piece of text.
                if let Some(alive) = at.checked_sub(depth) {
                    let next = candidate
                        .filter(|candidate| *candidate >= alive)
                        .unwrap_or_else(|| prefilter.find(text, alive));
                    candidate = Some(next);
                    let skip = prefilter.skip(text, next);
                    if skip > at {
                        (at, id) = (skip, self.start);
                    }
                }
            }
            if at == text.len() {
                return Cursor(id);
            }
            let end = (at + STRIDE).min(text.len());
            for byte in &text[at..end] {
                id = self.nfa.next_state(Anchored::No, id, *byte);
                at += 1;
                if self.nfa.is_match(id) {
                    for index in 0..self.nfa.match_len(id) {
                        let pattern = self.nfa.match_pattern(id, index);
                        found(at, &self.patterns[pattern.as_usize()]);
                    }
                }
            }
        }
    }
}

impl Prefilter {
    fn new(written: &[(usize, Written)]) -> Option<Self> {
        let mut offset = 0;
        let mut fragments = Vec::new();
        for (_, written) in written {
            let from = written.public.min(FARTHEST);
            fragments.push(written.bytes.get(from..from + FRAGMENT)?);
            offset = offset.max(from);
        }
        fragments.sort_unstable();
        fragments.dedup();
        let searcher = packed::Config::new()
            .heuristic_pattern_limits(false)
            .builder()
            .extend(fragments)
            .build()?;
        Some(Self { searcher, offset })
    }

    fn find(&self, text: &[u8], from: usize) -> usize {
        self.searcher
            .find_in(text, Span::from(from..text.len()))
            .map_or(text.len(), |found| found.start())
    }

    /// Returns the first place at which a pattern can begin, given the first piece of one. Where
    /// there is none, a pattern can begin only so near to the end that its piece is not complete.
    fn skip(&self, text: &[u8], candidate: usize) -> usize {
        if candidate == text.len() {
            text.len().saturating_sub(self.offset + FRAGMENT - 1)
        } else {
            candidate.saturating_sub(self.offset)
        }
    }
}

/// Walks down every pattern, all of them in step, and notes what is known in each state.
fn states(nfa: &NFA, start: StateID, written: &[(usize, Written)]) -> Vec<State> {
    struct Walk<'a> {
        written: &'a Written,
        at: StateID,
        /// The state for the longest proper suffix: the automaton fed without the first byte.
        suffix: StateID,
    }
    let mut states: Vec<State> = Vec::new();
    let mut own: Vec<(StateID, StateID)> = Vec::new();
    let mut walks: Vec<Walk<'_>> =
        written.iter().map(|(_, written)| Walk { written, at: start, suffix: start }).collect();
    let longest = written.iter().map(|(_, written)| written.bytes.len()).max().unwrap_or(0);
    for depth in 1..=longest {
        own.clear();
        for walk in walks.iter_mut().filter(|walk| depth <= walk.written.bytes.len()) {
            let byte = walk.written.bytes[depth - 1];
            walk.at = nfa.next_state(Anchored::No, walk.at, byte);
            if depth > 1 {
                walk.suffix = nfa.next_state(Anchored::No, walk.suffix, byte);
            }
            let index = walk.at.as_usize();
            if states.len() <= index {
                states.resize(index + 1, State::default());
            }
            let state = &mut states[index];
            state.depth = shorten(depth);
            // A complete pattern is masked already: nothing is held for it.
            if depth < walk.written.bytes.len() {
                let hidden = shorten(depth.saturating_sub(walk.written.public));
                state.held = state.held.max(hidden);
                if depth >= walk.written.sure {
                    state.sure = state.sure.max(hidden);
                }
            }
            own.push((walk.at, walk.suffix));
        }
        // A suffix is shorter, so what is known of it is complete.
        for (at, suffix) in &own {
            let suffix = states.get(suffix.as_usize()).copied().unwrap_or_default();
            let state = &mut states[at.as_usize()];
            state.held = state.held.max(suffix.held);
            state.sure = state.sure.max(suffix.sure);
        }
    }
    states
}

fn shorten(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
