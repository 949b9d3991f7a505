//! Fakes for every port.

mod clock;
mod commands;
mod entropy;
mod environment;
mod files;
mod http;
mod ports;
mod redirects;
mod script;
mod terminal;

pub use self::clock::FakeClock;
pub use self::commands::{FakeCommands, Reply};
pub use self::entropy::FakeEntropy;
pub use self::environment::FakeEnvironment;
pub use self::files::FakeFiles;
pub use self::http::FakeHttp;
pub(crate) use self::http::check_url;
pub use self::ports::Ports;
pub use self::redirects::FakeRedirects;
pub(crate) use self::script::lock;
pub use self::terminal::FakeTerminal;
