//! What makes every client in a container trust the authority of the run.
