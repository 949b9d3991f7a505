//! `CLAUDE.md`: what the run and the person tell the agent.

use moat_agent::instructions;
use moat_provider_core::PrepareOpts;

use super::host::Host;
use crate::container::is_key_scoped;

pub(super) const FILE: &str = "CLAUDE.md";

const API: &str = "\
## Calling the Anthropic API

`ANTHROPIC_API_KEY` is set for each command that you run in your shell. Its value is a placeholder:
the real key is put into the request outside of this sandbox.

- Use an SDK, which reads the variable, or send `-H \"x-api-key: $ANTHROPIC_API_KEY\"`.
- Do not export it globally, write it into a file or copy it: it is worth nothing anywhere else.
- An answer of 429 to a script most likely means that it sent another credential, not that there
  were too many requests.
";

pub(super) fn render(opts: &PrepareOpts, host: &Host) -> Option<String> {
    let api = if is_key_scoped(&opts.run) { API } else { "" };
    instructions::merge([opts.runtime_context.as_str(), api], host.instructions.as_deref())
}
