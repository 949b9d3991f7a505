//! Records as lines of JSON in files that are rotated.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::plane::record::{Records, RequestRecord, timestamp};

/// Records that are written at once.
const BATCH: usize = 256;

/// A file for records, one line of JSON each, that only its owner can read.
///
/// Before it grows beyond its bound it becomes `NAME.1`, `NAME.1` becomes `NAME.2`, and the last is
/// removed.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    max_bytes: u64,
    files: usize,
    open: Option<(File, u64)>,
}

impl RecordFile {
    /// The default bound of one file, in bytes: 16 MiB.
    pub const MAX_BYTES: u64 = 16 * 1024 * 1024;
    /// The default number of files, the one that is written to included: 4.
    pub const FILES: usize = 4;

    /// Opens a file to append to, or makes it. One that others may read is made private.
    ///
    /// # Errors
    ///
    /// Those of the system, and `InvalidInput` for what is no regular file: no link is followed.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let open = Some(open(&path)?);
        Ok(Self { path, max_bytes: Self::MAX_BYTES, files: Self::FILES, open })
    }

    /// Sets the bound of one file, in bytes. A longer record has a file of its own.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many files there are, the one that is written to included; at least one.
    #[must_use]
    pub fn files(mut self, count: usize) -> Self {
        self.files = count.max(1);
        self
    }

    /// How many bytes the file takes before it is rotated.
    fn room(&self) -> u64 {
        self.max_bytes.saturating_sub(self.open.as_ref().map_or(0, |(_, size)| *size))
    }

    /// Writes lines, all or none of them.
    fn write(&mut self, lines: &str) -> io::Result<()> {
        let length = lines.len() as u64;
        if self.open.as_ref().is_some_and(|(_, size)| *size > 0 && size + length > self.max_bytes) {
            self.rotate()?;
            self.open = None;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(&self.path)?),
        };
        if let Err(error) = file.write_all(lines.as_bytes()) {
            // A part may be there: it is cut off, so that the next line is whole.
            _ = file.set_len(*size);
            self.open = None;
            return Err(error);
        }
        *size += length;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (1..self.files).rev() {
            let from = if number == 1 { self.path.clone() } else { self.numbered(number - 1) };
            absent_is_fine(fs::rename(from, self.numbered(number)))?;
        }
        if self.files == 1 { absent_is_fine(fs::remove_file(&self.path)) } else { Ok(()) }
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let text = "the records' file is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// What was written, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenRecords {
    /// Records that are in the file, or in one that it was rotated to.
    pub written: u64,
    /// Records that are lost: the channel was full, or the disk failed.
    pub lost: u64,
}

/// Writes records for as long as there are any.
struct Writer {
    file: RecordFile,
    done: WrittenRecords,
    /// Lost records that the file does not tell of yet.
    untold: u64,
    /// Of those that the channel dropped, how many were seen.
    dropped: u64,
    is_failing: bool,
}

/// Records that are written together.
#[derive(Default)]
struct Lines {
    text: String,
    count: u64,
    /// When the first of the requests began.
    begun: Option<OffsetDateTime>,
}

impl Lines {
    fn push(&mut self, line: &str, record: &RequestRecord) {
        self.begun.get_or_insert(record.started);
        self.text.push_str(line);
        self.text.push('\n');
        self.count += 1;
    }
}

impl Writer {
    fn write(&mut self, batch: &mut Vec<RequestRecord>, dropped: u64) {
        let lost = dropped - self.dropped;
        self.dropped = dropped;
        self.lose(lost);
        let mut lines = Lines::default();
        for record in batch.drain(..) {
            let line = record.to_json();
            if !lines.text.is_empty() && (lines.text.len() + line.len()) as u64 >= self.file.room()
            {
                self.flush(std::mem::take(&mut lines));
            }
            lines.push(&line, &record);
        }
        self.flush(lines);
    }

    fn flush(&mut self, lines: Lines) {
        let Some(begun) = lines.begun else { return };
        match self.try_flush(&lines.text, begun) {
            Ok(()) => {
                self.done.written += lines.count;
                self.is_failing = false;
            }
            Err(error) => {
                if !self.is_failing {
                    tracing::error!(%error, path = %self.file.path.display(),
                        "records cannot be written; traffic goes on");
                }
                self.is_failing = true;
                self.lose(lines.count);
            }
        }
    }

    fn lose(&mut self, count: u64) {
        self.done.lost += count;
        self.untold += count;
    }

    fn try_flush(&mut self, lines: &str, begun: OffsetDateTime) -> io::Result<()> {
        if self.untold > 0 {
            let at = timestamp(begun);
            let line = json!({ "ts": at, "kind": "lost", "records": self.untold });
            self.file.write(&format!("{line}\n"))?;
            self.untold = 0;
        }
        self.file.write(lines)
    }

    fn sync(self) -> WrittenRecords {
        if let Some((file, _)) = &self.file.open {
            _ = file.sync_all();
        }
        self.done
    }
}

impl Records {
    /// Writes the records to a file until the proxy is gone or `stop` is cancelled; then those that
    /// are still in the channel, and flushes. The future is to be spawned.
    ///
    /// Records are formatted and written on a thread for blocking work. When the disk fails, records
    /// are lost, which is logged once; how many is written, in a line `"kind": "lost"`, as soon as it
    /// works again, and likewise when the channel was full.
    pub async fn write_to_file(
        mut self,
        file: RecordFile,
        stop: CancellationToken,
    ) -> WrittenRecords {
        let done = WrittenRecords::default();
        let mut writer = Writer { file, done, untold: 0, dropped: 0, is_failing: false };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let more = stop.run_until_cancelled(self.recv_many(&mut batch, BATCH)).await;
            if more.is_none() {
                self.close();
                self.recv_many(&mut batch, BATCH).await;
            }
            if batch.is_empty() {
                break;
            }
            let dropped = self.dropped();
            let write = tokio::task::spawn_blocking(move || {
                writer.write(&mut batch, dropped);
                (writer, batch)
            });
            // The thread cannot be aborted, and does not panic.
            let Ok(back) = write.await else { return done };
            (writer, batch) = back;
        }
        let done = writer.done;
        tokio::task::spawn_blocking(|| writer.sync()).await.unwrap_or(done)
    }
}
