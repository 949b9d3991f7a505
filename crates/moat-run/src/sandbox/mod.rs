//! Sandboxes: what isolates a run.
