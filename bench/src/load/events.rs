//! Events as they are sent (server-sent events): how late the first one comes.

use http_body_util::BodyExt;

use super::upload::Upload;
use super::{Load, successful};
use crate::Result;
use crate::clock;

impl Load {
    /// Opens streams one after the other and returns the median delay of the first event, from the
    /// origin's hand to ours, in microseconds.
    pub(crate) async fn events(&self, count: usize) -> Result<f64> {
        let mut connection = self.open(0).await?;
        let mut delays = Vec::with_capacity(count);
        for _ in 0..count {
            let request = connection.request("/events", self.http)?.map(|()| Upload::empty());
            let mut body = successful(connection.sender.send(request).await?)?.into_body();
            let mut event = Vec::new();
            let mut arrived = 0;
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame?.data_ref() {
                    event.extend_from_slice(data);
                    if event.ends_with(b"\n\n") {
                        arrived = clock::nanoseconds();
                    }
                }
            }
            let sent = std::str::from_utf8(&event)?.trim().trim_start_matches("data: ");
            delays.push(arrived.saturating_sub(sent.parse()?));
        }
        delays.sort_unstable();
        Ok(delays.get(count / 2).map_or(0.0, |delay| *delay as f64 / 1e3))
    }
}
