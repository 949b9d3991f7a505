//! What the two runs of the tour brought to light, and whether it is what it should be.

use moat_provider_core::Secret;
use moat_provider_testkit::Canary;
use serde_json::{Value, json};

use super::client::Report;
use super::vendor::{API, Arrival, OTHER};
use crate::output::{Paint, Table, line};

/// How many characters of a credential are shown.
const SHOWN: usize = 8;

/// What one run brought to light.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) report: Report,
    /// Everything that came out of the sandbox.
    pub(super) said: Vec<u8>,
    /// What arrived meanwhile.
    pub(super) arrivals: Vec<Arrival>,
}

/// Both runs.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) sandbox: &'static str,
    pub(super) token: Canary,
    pub(super) granted: Ran,
    pub(super) ungranted: Ran,
}

/// What a request had for a credential when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Nothing,
    Placeholder,
    Token,
    Another,
}

impl Received {
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "no credential",
            Self::Placeholder => "the placeholder",
            Self::Token => "the token",
            Self::Another => "another credential",
        }
    }
}

impl Findings {
    /// Says what is not as it should be; nothing when all is well.
    pub(super) fn problems(&self) -> Vec<&'static str> {
        use Received::{Nothing, Token};
        let all = |ran: &Ran, host: &str, wanted: &[Received]| {
            let received = self.received(ran, host);
            !received.is_empty() && received.iter().all(|it| wanted.contains(it))
        };
        let (granted, ungranted) = (&self.granted, &self.ungranted);
        let checks = [
            (self.placeholder().is_some(), "the sandbox has no placeholder"),
            (granted.report.api.status == 200, "the API has refused the granted request"),
            (all(granted, API, &[Token]), "the API did not receive the token"),
            (ungranted.report.api.status == 401, "the API has not refused the other request"),
            (
                all(ungranted, API, &[Nothing]),
                "the request without a grant did not arrive, or had a credential",
            ),
            (ungranted.report.credential.is_none(), "the sandbox has a credential without a grant"),
            (
                all(granted, OTHER, &[Nothing, Received::Placeholder]),
                "the request to another host did not arrive, or had a credential",
            ),
            (!self.is_leaked(), "THE TOKEN IS IN THE SANDBOX"),
            (
                !granted.report.searched.placeholder_in.is_empty(),
                "the search has missed the placeholder, so it proves nothing",
            ),
        ];
        checks.into_iter().filter(|(good, _)| !good).map(|(_, problem)| problem).collect()
    }

    /// Whether the token, or a good part of it in any form, came out of a sandbox.
    fn is_leaked(&self) -> bool {
        [&self.granted, &self.ungranted].iter().any(|ran| self.token.find_in(&ran.said).is_some())
    }

    /// Returns what the granted sandbox had instead of the token.
    fn placeholder(&self) -> Option<&str> {
        let credential = self.granted.report.credential.as_deref()?;
        self.token.find_in_str(credential).is_none().then_some(credential)
    }

    fn received(&self, ran: &Ran, host: &str) -> Vec<Received> {
        let arrivals = ran.arrivals.iter().filter(|arrival| arrival.host == host);
        arrivals.map(|arrival| self.kind(arrival.credential.as_ref())).collect()
    }

    fn kind(&self, credential: Option<&Secret>) -> Received {
        let Some(credential) = credential else { return Received::Nothing };
        let is_placeholder = |text: &str| credential.same_as(&Secret::new(text.to_owned()));
        match self.placeholder() {
            _ if credential.same_as(&self.token.secret()) => Received::Token,
            Some(placeholder) if is_placeholder(placeholder) => Received::Placeholder,
            _ => Received::Another,
        }
    }

    /// Describes what arrived at a host; the token is shown by its first characters.
    fn described(&self, ran: &Ran, host: &str) -> String {
        let mut received = self.received(ran, host);
        received.dedup();
        match received.as_slice() {
            [] => "no request came".to_owned(),
            [Received::Token] => format!("{} the token", short(self.token.text())),
            several => several.iter().map(|it| it.word()).collect::<Vec<_>>().join(", "),
        }
    }

    /// Shows it to a person.
    pub(super) fn text(&self, paint: Paint) -> String {
        let (granted, ungranted) = (&self.granted.report, &self.ungranted.report);
        let answer = |status: u16, body: &str| match self.is_leaked() {
            true => status.to_string(),
            false => format!("{status} {}", body.trim()),
        };
        let held = match self.placeholder() {
            Some(placeholder) => format!("{} a placeholder", short(placeholder)),
            None => "no placeholder".to_owned(),
        };
        let inside = if self.is_isolated() { "IN THE SANDBOX" } else { "IN THE CLIENT" };
        let mut table = Table::new(["", inside, "RECEIVED"]);
        table.row([API, &held, &self.described(&self.granted, API)]);
        table.row(["answered", &answer(granted.api.status, &granted.api.body), ""]);
        table.row(["", "", ""]);
        table.row(["without grant", "nothing", &self.described(&self.ungranted, API)]);
        table.row(["answered", &answer(ungranted.api.status, &ungranted.api.body), ""]);
        table.row(["", "", ""]);
        table.row([OTHER, &held, &self.described(&self.granted, OTHER)]);
        table.row(["answered", &answer(granted.other.status, &granted.other.body), ""]);
        format!(
            "{} asked in {}, with the grant and without it.\n\n{}\n\n{}\n\n{}",
            line(&granted.program),
            if self.is_isolated() { self.sandbox } else { "no sandbox" },
            table.render(),
            self.search(),
            self.verdict(paint),
        )
    }

    /// Says what was searched, and what was found.
    fn search(&self) -> String {
        let searched = &self.granted.report.searched;
        let places: Vec<_> = searched.placeholder_in.iter().map(String::as_str).collect();
        format!(
            "Searched from inside: environment, {}, memory of {}; {}.\n  \
             the placeholder  {}\n  the token        {}",
            counted(searched.files, "file", "files"),
            counted(searched.processes, "process", "processes"),
            bytes(searched.bytes),
            if places.is_empty() { "nowhere".to_owned() } else { line(&places.join(", ")) },
            if self.is_leaked() { "FOUND" } else { "nowhere: plain, hexadecimal, base64" },
        )
    }

    fn verdict(&self, paint: Paint) -> String {
        match (self.problems().as_slice(), self.is_isolated()) {
            ([], true) => paint.cyan("The API was used, and the sandbox never had the token."),
            ([], false) => paint.cyan(
                "The API was used, and the client was not given the token.\n\
                 Nothing kept it from looking elsewhere on this machine.",
            ),
            (problems, _) => paint.red(&format!("Something is wrong: {}.", problems.join("; "))),
        }
    }

    fn is_isolated(&self) -> bool {
        self.sandbox != "none"
    }

    /// Shows it to a program.
    pub(super) fn json(&self) -> Value {
        let (granted, ungranted) = (&self.granted.report, &self.ungranted.report);
        let received = |ran, host| {
            let received = self.received(ran, host).into_iter();
            received.map(Received::word).collect::<Vec<_>>()
        };
        json!({
            "sandbox": self.sandbox,
            "client": granted.program,
            "placeholder": self.placeholder(),
            "status": granted.api.status,
            "api_received": received(&self.granted, API),
            "status_without_grant": ungranted.api.status,
            "api_received_without_grant": received(&self.ungranted, API),
            "other_host_received": received(&self.granted, OTHER),
            "searched_bytes": granted.searched.bytes,
            "searched_files": granted.searched.files,
            "searched_processes": granted.searched.processes,
            "placeholder_found_in": granted.searched.placeholder_in,
            "token_found": self.is_leaked(),
            "problems": self.problems(),
            "ok": self.problems().is_empty(),
        })
    }
}

fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn short(credential: &str) -> String {
    format!("{}…", credential.chars().take(SHOWN).collect::<String>())
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::Alphabet;

    use super::*;
    use crate::command::demo::client::{Answer, Searched};

    fn arrival(host: &str, credential: Option<Secret>) -> Arrival {
        Arrival { host: host.to_owned(), credential }
    }

    /// Findings of a tour on which everything is as it should be.
    fn good() -> Findings {
        let drawn = || Canary::shaped("ghp_", Alphabet::Alphanumeric, 36);
        let (token, placeholder) = (drawn(), drawn());
        let answer = |status| Answer { status, body: "{}".to_owned() };
        let report = |credential: Option<&Canary>, status| Report {
            program: "curl".to_owned(),
            credential: credential.map(|it| it.text().to_owned()),
            api: answer(status),
            other: answer(200),
            searched: Searched {
                bytes: 2_000_000,
                placeholder_in: ["memory".to_owned()].into(),
                ..Searched::default()
            },
        };
        let granted = Ran {
            report: report(Some(&placeholder), 200),
            said: placeholder.text().into(),
            arrivals: vec![
                arrival(API, Some(token.secret())),
                arrival(OTHER, Some(placeholder.secret())),
            ],
        };
        let ungranted = Ran {
            report: report(None, 401),
            said: Vec::new(),
            arrivals: vec![arrival(API, None), arrival(OTHER, None)],
        };
        Findings { sandbox: "bubblewrap", token, granted, ungranted }
    }

    #[test]
    fn nothing_is_wrong_with_a_good_tour_and_it_shows_no_token() {
        let findings = good();
        assert_eq!(findings.problems(), Vec::<&str>::new());
        let text = findings.text(Paint::Plain);
        assert!(text.contains("the sandbox never had the token"), "{text}");
        assert!(text.lines().count() <= 40 && text.lines().all(|it| it.chars().count() <= 80));
        let told = findings.json();
        assert_eq!(told["ok"], true);
        assert_eq!(told["api_received"], json!(["the token"]));
        for shown in [text, told.to_string()] {
            assert_eq!(findings.token.find_in_str(&shown), None, "{shown}");
        }
    }

    #[test]
    fn each_thing_that_may_be_wrong_is_noticed() {
        type Breakage = fn(&mut Findings);
        let breakages: [(Breakage, &str); 11] = [
            (|it| it.granted.report.credential = None, "no placeholder"),
            (|it| it.granted.report.api.status = 401, "refused the granted"),
            (|it| it.granted.arrivals.clear(), "did not receive the token"),
            (|it| it.granted.arrivals[0].credential = None, "did not receive the token"),
            (|it| it.ungranted.report.api.status = 200, "not refused the other"),
            (
                |it| it.ungranted.arrivals[0].credential = Some(it.token.secret()),
                "had a credential",
            ),
            (|it| it.ungranted.report.credential = Some("ghp_".into()), "without a grant"),
            (|it| it.granted.arrivals[1].credential = Some(it.token.secret()), "another host"),
            (|it| it.granted.said.extend(it.token.text().bytes()), "IN THE SANDBOX"),
            (|it| it.ungranted.said = it.token.text()[6..30].into(), "IN THE SANDBOX"),
            (|it| it.granted.report.searched.placeholder_in.clear(), "proves nothing"),
        ];
        for (breakage, expected) in breakages {
            let mut findings = good();
            breakage(&mut findings);
            let problems = findings.problems().join("; ");
            assert!(problems.contains(expected), "{expected}: {problems:?}");
            assert!(findings.text(Paint::Plain).contains("Something is wrong"));
            assert_eq!(findings.json()["ok"], false, "{expected}");
        }
    }

    #[test]
    fn a_sandbox_that_has_the_token_has_no_placeholder() {
        let mut findings = good();
        findings.granted.report.credential = Some(findings.token.text().to_owned());
        assert!(findings.problems().contains(&"the sandbox has no placeholder"));
        let text = findings.text(Paint::Plain);
        assert_eq!(findings.token.find_in_str(&text), None, "{text}");
    }
}
