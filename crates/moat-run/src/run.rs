//! A run while it lives, and its end.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{CredentialInfo, CredentialKey, RunContext, RunId, RunStoppedContext};
use moat_proxy::RunRules;
use moat_proxy::plane::{Proxy, RecordFile, Records, RunHandle};
use moat_refresh::{ProblemKind, State};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::live::{Live, Standing};
use crate::metadata::{RunMetadata, RunState};
use crate::rules::RuleBook;
use crate::runner::Inner;
use crate::spec::ContainerSpec;
use crate::state::RunDir;
use crate::watched::Watched;

/// Notices that may wait to be read; what is more is dropped, for the log has it as well.
const NOTICES: usize = 64;

/// A run that is prepared, and may have been started.
///
/// The proxy serves it until it is [stopped](Self::stopped) or dropped.
pub struct Run {
    pub(crate) host: Arc<Inner>,
    pub(crate) dir: RunDir,
    pub(crate) metadata: RunMetadata,
    pub(crate) spec: ContainerSpec,
    pub(crate) warnings: Vec<String>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) serving: Serving,
    pub(crate) watched: Watched,
    pub(crate) context: Arc<RunContext>,
}

/// A run that has ended.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Stopped {
    /// What is kept of it.
    pub metadata: RunMetadata,
    /// Files of the workspace, relative to it, that changed meanwhile and that programs of the host
    /// execute or obey: hooks and configuration of git, `.envrc`, tasks of editors, agents' settings.
    pub changed: Vec<PathBuf>,
}

/// Something that a person should hear while a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The credential that it is about.
    pub key: CredentialKey,
    /// A lower-case sentence without a full stop.
    pub message: String,
    /// What the person can do.
    pub hint: String,
}

impl Run {
    /// Returns the identity.
    #[must_use]
    pub fn id(&self) -> &RunId {
        self.dir.id()
    }

    /// Returns what to start.
    #[must_use]
    pub fn spec(&self) -> &ContainerSpec {
        &self.spec
    }

    /// Returns the grants, without their secrets, as they were when the run was prepared.
    #[must_use]
    pub fn grants(&self) -> &[CredentialInfo] {
        self.context.grants()
    }

    /// Returns what a person should know before the start.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns what is kept of the run.
    #[must_use]
    pub fn metadata(&self) -> &RunMetadata {
        &self.metadata
    }

    /// Waits for something that a person should hear; pending for as long as there is nothing.
    pub async fn notice(&mut self) -> Notice {
        match self.notices.recv().await {
            Some(notice) => notice,
            None => std::future::pending().await,
        }
    }

    /// Ends the run: nobody reaches the proxy any more, hooks are called, minted secrets revoked,
    /// staging removed. Returns what is kept of it, and what it changed that the host obeys.
    ///
    /// `exit_code` is that of the command, or 128 and the number of the signal that ended it.
    /// Failures on the way are logged; the rest is done nevertheless.
    pub async fn stopped(mut self, exit_code: i32) -> Stopped {
        self.serving.end().await;
        let now = self.host.cx.clock().now();
        self.metadata.state = RunState::Stopped;
        self.metadata.exit_code = Some(exit_code);
        self.metadata.stopped_at = Some(now);
        self.metadata.provider_meta = hooks(&self.host, &self.metadata).await;
        if let Err(error) = self.metadata.write(self.dir.path()) {
            tracing::error!(%error, run = %self.dir.id(), "the run's metadata cannot be kept");
        }
        self.dir.keep();
        let now = Watched::look(Path::new(&self.metadata.workspace));
        Stopped { metadata: self.metadata, changed: now.changed_since(&self.watched) }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", self.dir.id()).finish_non_exhaustive()
    }
}

/// Calls the hooks of the agent and of the grants' providers, each once.
pub(crate) async fn hooks(
    host: &Inner,
    metadata: &RunMetadata,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let stopped_at = metadata.stopped_at.unwrap_or_else(|| host.cx.clock().now());
    let workspace = metadata.workspace.clone().into();
    let mut context =
        RunStoppedContext::new(metadata.id.clone(), workspace, metadata.created_at, stopped_at);
    context.state.clone_from(&metadata.agent_state);
    let grants: Vec<_> = metadata.keys().map(|key| key.provider().to_string()).collect();
    let mut kept = BTreeMap::new();
    for name in metadata.agent.iter().chain(&grants) {
        let Some(provider) = host.registry.get(name) else { continue };
        let Some(hook) = provider.as_run_stopped_hook() else { continue };
        if kept.contains_key(name) {
            continue;
        }
        match hook.on_run_stopped(&host.cx, &context).await {
            Ok(found) => {
                kept.insert(name.clone(), found);
            }
            Err(error) => tracing::warn!(%error, provider = %name, "a hook failed"),
        }
    }
    kept.retain(|_, found| !found.is_empty());
    kept
}

/// What listens for the clients of a run.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The tasks behind a run. They end when this is dropped.
pub(crate) struct Serving {
    stop: CancellationToken,
    /// Says when the rules are no longer kept up to date.
    ended: Option<oneshot::Receiver<()>>,
    records: JoinHandle<()>,
}

/// What the task that keeps the rules up to date works with.
pub(crate) struct UpToDate {
    pub(crate) live: Live,
    pub(crate) book: RuleBook,
    pub(crate) rules: Arc<RunRules>,
}

impl Serving {
    /// Serves the clients of a run and keeps its rules up to date.
    pub(crate) fn begin(
        proxy: Proxy,
        handle: RunHandle,
        listener: Listener,
        (records, file): (Records, RecordFile),
        up_to_date: UpToDate,
    ) -> (Self, mpsc::Receiver<Notice>) {
        match listener {
            Listener::Unix(listener) => tokio::spawn(proxy.serve_unix(listener, &handle)),
            Listener::Tcp(listener) => tokio::spawn(proxy.serve_tcp(listener)),
        };
        let stop = CancellationToken::new();
        let records = {
            let stop = stop.clone();
            tokio::spawn(async move {
                let written = records.write_to_file(file, stop).await;
                tracing::debug!(?written, "the records of a run are written");
            })
        };
        let (sender, notices) = mpsc::channel(NOTICES);
        let (done, ended) = oneshot::channel();
        let watching = stop.clone();
        tokio::spawn(async move {
            let mut keeping = Keeping { up_to_date, handle, notices: sender };
            tokio::select! {
                () = watching.cancelled() => {}
                () = keeping.keep() => {}
            }
            let Keeping { up_to_date, handle, .. } = keeping;
            handle.stop().await;
            proxy.shut_down();
            up_to_date.live.end().await;
            _ = done.send(());
        });
        (Self { stop, ended: Some(ended), records }, notices)
    }

    /// Ends serving, and waits until nothing is open any more and what was minted is revoked.
    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            _ = ended.await;
        }
        _ = (&mut self.records).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Swaps rules when credentials change, and tells the person what is wrong with them.
struct Keeping {
    up_to_date: UpToDate,
    handle: RunHandle,
    notices: mpsc::Sender<Notice>,
}

impl Keeping {
    async fn keep(&mut self) {
        let keeper = self.up_to_date.live.keeper();
        let mut changes = self.up_to_date.live.changes();
        let mut before = self.up_to_date.live.standing();
        keeper.swapped(&before);
        // Something may have changed between the first rules and now.
        let mut first = true;
        while std::mem::take(&mut first) || changes.next().await.is_some() {
            let now = self.up_to_date.live.standing();
            for (was, is) in before.iter().zip(&now) {
                if was.state != is.state {
                    self.tell(is);
                }
                if was.removals != is.removals {
                    self.cut(&is.key);
                }
            }
            let is_other = |(was, is): (&Standing, &Standing)| {
                (was.revision, was.minted) != (is.revision, is.minted)
            };
            if before.iter().zip(&now).any(is_other) {
                self.swap();
                keeper.swapped(&now);
            }
            before = now;
        }
        // Nobody keeps the credentials fresh any more; the rules stay as they are.
        std::future::pending().await
    }

    /// Puts rules in force that are made from the credentials of now.
    fn swap(&mut self) {
        let UpToDate { live, book, rules } = &mut self.up_to_date;
        match book.rules(&live.credentials(), live.keeper(), Some(rules)) {
            Ok(next) => {
                let next = Arc::new(next);
                self.handle.swap(Arc::clone(&next) as _);
                *rules = next;
            }
            Err(error) => {
                tracing::error!(%error, "the rules of renewed credentials cannot be made");
            }
        }
    }

    /// Ends what is open with a credential that is gone.
    fn cut(&mut self, key: &CredentialKey) {
        if let Some(token) = self.up_to_date.book.revocations.get_mut(key) {
            token.cancel();
            *token = CancellationToken::new();
        }
    }

    fn tell(&self, standing: &Standing) {
        let Some(problem) = standing.state.problem() else { return };
        // What passes by itself is of interest to the log only.
        let passes = matches!(standing.state, State::Retrying { .. })
            && !matches!(problem.kind(), ProblemKind::Failed | ProblemKind::Store);
        tracing::warn!(key = %standing.key, problem = %problem, "a credential is not fresh");
        if passes {
            return;
        }
        let notice = Notice {
            key: standing.key.clone(),
            message: problem.message().to_owned(),
            hint: problem.hint().to_owned(),
        };
        _ = self.notices.try_send(notice);
    }
}
