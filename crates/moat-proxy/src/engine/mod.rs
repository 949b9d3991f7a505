//! Applies the rules of providers to heads and bodies of requests and answers.
//!
//! Pure code: no I/O, no clock, no runtime. A proxy asks a [`Generation`] for each request of an
//! intercepted host:
//!
//! 1. [`Generation::at`] finds the rules of a host, once for all requests to it.
//! 2. [`Generation::apply`] changes the head and returns a [`Verdict`]: an answer of our own, or a
//!    [`Plan`].
//! 3. [`Plan::body`] says whether the body streams, streams through a signer, or is held and handed
//!    to [`Plan::finish_body`].
//! 4. [`Plan::answer`] does the same for the answer: [`AnswerPlan::on_head`], then
//!    [`Collect::finish`] for the few bodies that are collected.
//!
//! What the caller has done before: verified the server's certificate, compared the authorities of
//! tunnel, handshake and request (law L6), and brought the path into canonical form (law L8).
//!
//! Nothing that is written here for a log or an error holds a secret; the head that goes to the
//! vendor does, and is not to be logged after [`Generation::apply`].

mod answer;
mod apply;
mod attempt;
mod body;
mod carried;
mod companions;
mod generation;
mod graphql;
mod group;
mod hold;
mod hygiene;
mod index;
mod issuing;
mod json;
mod list;
mod media;
mod not_used;
mod pairs;
mod plan;
mod secret_text;
mod sign;
mod slots;
mod substitute;
mod table;

pub use self::answer::{AnswerBody, AnswerPlan, Collect, Collected};
pub use self::apply::Place;
pub use self::attempt::Attempt;
pub use self::generation::{Generation, HostRules};
pub use self::hold::{FieldToHold, HeldSecret};
pub(crate) use self::hygiene::strip_overrides;
pub use self::not_used::NotUsed;
pub use self::plan::{BodyNeed, How, Plan, Used, Verdict};
pub(crate) use self::sign::why_not_signed;
