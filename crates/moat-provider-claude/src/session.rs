//! Conversations: the id that a run knows from its start, and where the host's are kept.

use std::collections::BTreeMap;

use moat_agent::SessionId;

/// The entry under which a run keeps the id of its conversation: in
/// [`ContainerConfig::state`](moat_provider_core::ContainerConfig::state), and from there in the
/// run's `metadata.json`. It is the agent's name and `_session_id`, by which hosts find it.
pub const SESSION_ID: &str = "claude_session_id";

/// The longest name of a directory before it is cut.
const MAX_NAME: usize = 200;

/// Reads the id out of what a run kept. Anything but an id is none.
pub(crate) fn known(state: &BTreeMap<String, String>) -> Option<SessionId> {
    state.get(SESSION_ID)?.parse().ok()
}

/// Returns the name of the directory below `projects` in which Claude Code keeps the conversations
/// of a workspace, from the workspace's absolute path; `None` for an empty path, which would mean
/// all of them.
///
/// Every UTF-16 unit other than an ASCII letter or digit becomes a hyphen; of a name beyond 200 the
/// rest is replaced by a hash (Claude Code 2.1).
///
/// ```
/// use moat_provider_claude::transcript_directory;
///
/// assert_eq!(transcript_directory("/home/a.b/my_app").as_deref(), Some("-home-a-b-my-app"));
/// assert_eq!(transcript_directory(""), None);
/// ```
#[must_use]
pub fn transcript_directory(workspace: &str) -> Option<String> {
    if workspace.is_empty() {
        return None;
    }
    let fold = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte),
        _ => '-',
    };
    let folded: String = workspace.encode_utf16().map(fold).collect();
    if folded.len() <= MAX_NAME {
        return Some(folded);
    }
    let hash = workspace
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    Some(format!("{}-{}", &folded[..MAX_NAME], base36(hash.unsigned_abs())))
}

fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        // A digit below 36 is a digit in base 36.
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}
