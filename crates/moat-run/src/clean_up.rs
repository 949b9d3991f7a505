//! Cleaning up behind runs: those whose process died, and those of long ago.

use std::path::Path;

use moat_provider_core::RunId;
use time::Duration;

use crate::metadata::{RunMetadata, RunState};
use crate::remove::remove_tree;
use crate::run::hooks;
use crate::runner::{Inner, Runner};
use crate::state::{clear, lock};

/// For how long what is left of a run is kept.
const KEPT: Duration = Duration::days(30);

impl Runner {
    /// Ends runs whose process died before it could: hooks are called, staging is removed, and what
    /// is kept says so. Removes what is left of runs that ended more than 30 days ago.
    ///
    /// Returns the runs that were ended. Their proxy went with their process, and so did their
    /// tokens; secrets minted for them were in memory alone, and end when the vendor has them end.
    ///
    /// [`prepare`](Self::prepare) does this first. What fails is logged.
    pub async fn clean_up(&self) -> Vec<RunMetadata> {
        let host = &self.0;
        let runs = match host.state.runs() {
            Ok(runs) => runs,
            Err(error) => {
                tracing::warn!(%error, "the runs of before cannot be read");
                return Vec::new();
            }
        };
        let mut ended = Vec::new();
        for id in runs {
            let path = host.state.run(&id);
            // Held until the run is dealt with, so that two processes do not do it.
            let Ok(Some(_lock)) = lock(&path) else { continue };
            ended.extend(end(host, &id, &path).await);
        }
        ended
    }
}

async fn end(host: &Inner, id: &RunId, path: &Path) -> Option<RunMetadata> {
    let now = host.cx.clock().now();
    let Ok(mut metadata) = RunMetadata::read(path) else {
        // It died while it was prepared: there is nothing to tell.
        removed(id, remove_tree(path));
        return None;
    };
    if metadata.state != RunState::Running {
        if metadata.stopped_at.is_some_and(|at| now - at > KEPT) {
            removed(id, remove_tree(path));
        }
        return None;
    }
    metadata.state = RunState::Killed;
    metadata.stopped_at = Some(now);
    metadata.provider_meta = hooks(host, &metadata).await;
    if let Err(error) = metadata.write(path) {
        tracing::warn!(%error, run = %id, "the run's metadata cannot be kept");
    }
    removed(id, clear(path));
    Some(metadata)
}

fn removed(id: &RunId, result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, run = %id, "what the run left cannot be removed");
    }
}
