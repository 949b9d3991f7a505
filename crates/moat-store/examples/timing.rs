//! How long the store takes to save, load and list: a report for a person, not a test.
//!
//! ```sh
//! cargo run --release -p moat-store --example timing
//! ```

#![expect(clippy::print_stdout, reason = "a report is printed")]

use std::error::Error;
use std::time::{Duration, Instant};

use moat_provider_core::{Credential, CredentialKey, Secret, SecretName};
use moat_store::{CredentialStore, Expect, FileStore};
use time::OffsetDateTime;

/// The sizes of the stores.
const SIZES: [usize; 2] = [1, 1_000];
/// How often one credential is saved and loaded for a median.
const ROUNDS: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("medians of {ROUNDS} calls, each with a key that is open; fsync included");
    println!("| credentials | save | load | generation | names | list | open and load |");
    println!("|---|---|---|---|---|---|---|");
    for size in SIZES {
        let dir = tempfile::tempdir()?;
        let store = FileStore::builder(dir.path().join("home")).build();
        let credentials = (0..size).map(credential).collect::<Result<Vec<_>, _>>()?;
        for credential in &credentials {
            store.save(credential, Expect::Absent).await?;
        }
        let mut times: [Vec<Duration>; 6] = Default::default();
        for credential in credentials.iter().cycle().take(ROUNDS) {
            let key = credential.key();
            times[0].push(timed(store.save(credential, Expect::Anything)).await?);
            times[1].push(timed(store.load(key)).await?);
            times[2].push(timed(store.generation(key)).await?);
            // What a command pays that is started for one credential.
            let other = FileStore::builder(store.home()).build();
            times[5].push(timed(other.load(key)).await?);
        }
        for _ in 0..20 {
            times[3].push(timed(store.names()).await?);
            times[4].push(timed(store.list()).await?);
        }
        let medians = times.map(median);
        let cells = medians.map(|time| format!("{:.3} ms", time.as_secs_f64() * 1e3));
        println!("| {size} | {} |", cells.join(" | "));
    }
    Ok(())
}

async fn timed<T, E>(call: impl Future<Output = Result<T, E>>) -> Result<Duration, E> {
    let begin = Instant::now();
    call.await?;
    Ok(begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Makes a credential of the usual size: two tokens and a few words.
fn credential(number: usize) -> Result<Credential, Box<dyn Error>> {
    let key: CredentialKey = format!("oauth:service-{number}").parse()?;
    let secret = || {
        let mut bytes = [0; 48];
        getrandom::fill(&mut bytes)?;
        Ok::<_, getrandom::Error>(Secret::new(bytes.map(|byte| format!("{byte:02x}")).concat()))
    };
    Ok(Credential::builder(key, secret()?, OffsetDateTime::UNIX_EPOCH)
        .secret(SecretName::REFRESH_TOKEN, secret()?)
        .scopes(["read", "write"])
        .metadata("login", "somebody")
        .build())
}
