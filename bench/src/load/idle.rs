//! Connections that are open and silent: how much memory each costs.

use super::upload::Upload;
use super::{Connection, Load};
use crate::Result;
use crate::origin::SMALL;

/// Connections that are open before anything is compared.
const WARM: usize = 32;

impl Load {
    /// Opens connections, sends one request on each, and returns how many bytes of memory the
    /// server has more for each of them. `memory` tells how much it has.
    pub(crate) async fn idle(&self, count: usize, memory: impl Fn() -> u64) -> Result<f64> {
        let _warm = self.used(WARM).await?;
        let before = memory();
        let _idle = self.used(count).await?;
        Ok(memory().saturating_sub(before) as f64 / count as f64)
    }

    async fn used(&self, count: usize) -> Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for number in 0..count {
            let mut connection = self.open(number).await?;
            let request = connection.request("/small", self.http)?.map(|()| Upload::empty());
            connection.exchange(request, SMALL as u64).await?;
            connections.push(connection);
        }
        Ok(connections)
    }
}
