//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::measure::Subject;
use crate::variants::Variant;
use crate::world::Http;

pub(crate) const HELP: &str = "\
Usage: cargo xtask bench proxy [count] [OPTION]...
       cargo xtask bench aws [OPTION]...

Measures proxies, or counts the instructions of small requests with valgrind; measures what it costs
to sign requests to AWS anew.

  --quick           one round of short measurements, for a first look
  --rounds N        how often everything is measured in turn; 5, with --quick 1
  --only WORDS      subjects: small, alone, fresh, transfer, events, idle
  --variants NAMES  variants, as the table names them; a beginning stands for all that begin so
  --http NAME       h1 or h2; without it both
  --mitmdump PATH   where mitmproxy is, when it is not on the path
";

/// What the person asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) versions: Vec<Http>,
    pub(crate) mitmdump: Option<PathBuf>,
    pub(crate) size: Size,
}

/// What is measured unless the person says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    Proxy,
    Aws,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How long small requests and handshakes are counted.
    pub(crate) length: Duration,
    /// Requests that are sent one after the other.
    pub(crate) alone: usize,
    /// The length of long bodies.
    pub(crate) bytes: u64,
    /// Event streams that are opened.
    pub(crate) events: usize,
    /// Tunnels that are left open.
    pub(crate) tunnels: usize,
}

const FULL: Size = Size {
    length: Duration::from_secs(3),
    alone: 4000,
    bytes: 1 << 30,
    events: 200,
    tunnels: 1000,
};
const QUICK: Size =
    Size { length: Duration::from_secs(1), alone: 1000, bytes: 1 << 28, events: 50, tunnels: 1000 };

impl Options {
    /// Reads the arguments; none when help was asked for.
    pub(crate) fn parse(arguments: &[String], usual: Usual) -> Result<Option<Self>> {
        let (subjects, variants, versions) = match usual {
            Usual::Proxy => (Subject::PROXY.to_vec(), Variant::PROXY.to_vec(), Http::BOTH.to_vec()),
            // S3 speaks no HTTP/2.
            Usual::Aws => (Subject::AWS.to_vec(), Variant::AWS.to_vec(), vec![Http::One]),
        };
        let mut options =
            Self { rounds: 5, subjects, variants, versions, mitmdump: None, size: FULL };
        let mut rounds = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "-h" | "--help" => return Ok(None),
                "--quick" => (options.size, options.rounds) = (QUICK, 1),
                "--rounds" => rounds = Some(value()?.parse()?),
                "--only" => options.subjects = chosen(value()?, &Subject::ALL, Subject::name)?,
                "--variants" => {
                    options.variants = chosen(value()?, &Variant::all(), Variant::name)?;
                }
                "--http" => options.versions = chosen(value()?, &Http::BOTH, Http::as_str)?,
                "--mitmdump" => options.mitmdump = Some(value()?.into()),
                _ => return Err(format!("`{argument}` is no option\n\n{HELP}").into()),
            }
        }
        options.rounds = rounds.unwrap_or(options.rounds).max(1);
        Ok(Some(options))
    }
}

/// Returns what the words of a list stand for, in the usual order.
fn chosen<T: Copy>(list: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<Vec<T>> {
    let mut chosen = vec![false; all.len()];
    for word in list.split(',').map(str::trim) {
        let exact = all.iter().any(|it| name(*it) == word);
        let fits = |it: &T| if exact { name(*it) == word } else { name(*it).starts_with(word) };
        if !all.iter().any(fits) {
            return Err(format!("`{word}` is not among what can be measured").into());
        }
        for (it, chosen) in all.iter().zip(&mut chosen) {
            *chosen |= fits(it);
        }
    }
    Ok(all.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(it, _)| *it).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_itself_and_a_beginning_for_all() {
        let names = |list: &str| -> Vec<&str> {
            let chosen = chosen(list, &Variant::all(), Variant::name).unwrap();
            chosen.into_iter().map(Variant::name).collect()
        };
        assert_eq!(names("nginx, ours"), ["ours", "nginx"]);
        assert_eq!(names("ours + rule +"), ["ours + rule + log"]);
        assert_eq!(names("h"), ["hudsucker", "http-mitm-proxy"]);
        assert!(chosen("nothing", &Variant::all(), Variant::name).is_err());
    }
}
