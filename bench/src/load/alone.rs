//! Small requests one after the other: what the way costs each of them.

use tokio::time::Instant;

use super::Load;
use super::upload::Upload;
use crate::Result;
use crate::origin::SMALL;

/// Requests that nobody measures.
const WARM_UP: usize = 100;

impl Load {
    /// Sends this many requests, and returns the median of the microseconds until the answer.
    pub(crate) async fn alone(&self, count: usize) -> Result<f64> {
        let mut connection = self.open(0).await?;
        let template = connection.request("/small", self.http)?;
        let mut latencies = Vec::with_capacity(count);
        for number in 0..WARM_UP + count {
            let request = template.clone().map(|()| Upload::empty());
            let sent = Instant::now();
            connection.exchange(request, SMALL as u64).await?;
            if number >= WARM_UP {
                latencies.push(sent.elapsed().as_secs_f64() * 1e6);
            }
        }
        latencies.sort_unstable_by(f64::total_cmp);
        Ok(latencies[count / 2])
    }
}
