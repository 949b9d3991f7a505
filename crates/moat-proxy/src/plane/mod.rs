//! The data plane of moat: an intercepting proxy for the runs of one machine.

mod attempts;
mod body;
mod ca;
mod connect;
mod cuts;
mod destination;
mod error;
mod forward;
mod gather;
mod headers;
mod identity;
mod io;
mod lane;
mod leaf;
mod limits;
mod linger;
mod listener;
mod proxy;
mod record;
mod record_file;
mod run;
mod sample;
pub mod seam;
mod serve;
mod tasks;
mod tunnel;
mod upgrade;
mod upstream;
mod verdict;

pub use crate::plane::ca::CertificateAuthority;
pub use crate::plane::error::SetupError;
pub use crate::plane::limits::{Limits, raise_descriptor_limit};
pub use crate::plane::proxy::{Proxy, ProxyBuilder};
pub use crate::plane::record::{Recorder, Records, RequestRecord, channel};
pub use crate::plane::record_file::{RecordFile, WrittenRecords};
pub use crate::plane::run::{RunHandle, RunRegistration};
pub use crate::plane::sample::BodySample;
pub use crate::plane::upstream::{
    ClientCertificate, ConnectTo, Dialer, Resolver, SystemResolver, TcpDialer, UpstreamProxy,
    UpstreamTls,
};
