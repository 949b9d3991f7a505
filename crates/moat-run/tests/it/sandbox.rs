//! Containers of bubblewrap, as they are.

mod bridge;
mod client;
mod isolation;
mod life;
mod streams;
mod terminal;
mod visit;
mod world;
