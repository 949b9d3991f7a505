//! Whose keys assume a role, what is kept, and what is refused before AWS is asked.

use bytes::Bytes;
use http::{Request, Response};
use moat_provider_aws::Aws;
use moat_provider_core::{Alphabet, ErrorKind, HostDir, HostFile};
use moat_provider_core::{Credential, CredentialProvider, MintingProvider, Secret};
use moat_provider_testkit::{
    Canary, FakeClock, FakeCommands, FakeEnvironment, FakeFiles, FakeTerminal, Ports, Reply,
    Vendor, block_on, text,
};
use serde_json::Value;

use crate::support::{
    ID, OWNER, ROLE, Sts, environment, grant, granted, kind_name, request, run, table, time,
};

fn key() -> Canary {
    Canary::shaped("", Alphabet::Alphanumeric, 40)
}

fn credentials_file() -> HostFile {
    HostFile::new("aws/credentials").at(HostDir::Home, ".aws/credentials")
}

fn config_file() -> HostFile {
    HostFile::new("aws/config").at(HostDir::Home, ".aws/config")
}

/// The person of one row.
fn ports(case: &Value, fill: &dyn Fn(&str) -> Secret, known: &Secret) -> Ports {
    let env = case["env"].as_object().into_iter().flatten();
    let env = env.fold(FakeEnvironment::new(), |env, (name, value)| {
        env.secret(name, fill(value.as_str().unwrap()))
    });
    let files = [("credentials", credentials_file()), ("config", config_file())];
    let files =
        files.iter().fold(FakeFiles::new(), |files, (name, file)| match case[*name].as_str() {
            Some(contents) => files.file(file, fill(contents)),
            None => files,
        });
    let mut commands = FakeCommands::new();
    if let Some(words) = case["command"].as_array() {
        let mut words = words.iter().map(|word| word.as_str().unwrap());
        let program = words.next().unwrap();
        let reply = match (case["prints"].as_str(), case["fails"].as_str()) {
            (Some(output), _) => Reply::prints(fill(output)),
            (_, Some(output)) => Reply::fails(255, fill(output).expose()),
            _ => Reply::not_found(),
        };
        commands = commands.expect_checked(program, words, reply, |command| {
            let secret = |name: &&String| name.contains("KEY") || name.contains("TOKEN");
            assert_eq!(command.inherited().iter().find(secret), None);
        });
    }
    let mut sts = Sts::knowing(known).owner(case["owner"].as_str().unwrap_or(OWNER));
    if let Some(refusal) = case["refusal"].as_array() {
        let status = refusal[0].as_u64().unwrap().try_into().unwrap();
        sts = sts.refusing(status, refusal[1].as_str().unwrap());
    }
    Ports::new()
        .with_environment(env)
        .with_files(files)
        .with_commands(commands)
        .with_terminal(FakeTerminal::not_interactive())
        .with_vendor(sts)
}

#[test]
fn keys_come_from_where_the_person_says() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let (secret, other) = (key(), key());
        let fill = |text: &str| {
            Secret::new(text.replace("{S}", secret.text()).replace("{X}", other.text()))
        };
        let options: Vec<(&str, &str)> = case["options"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let ports = ports(&case, &fill, &secret.secret());
        match (grant(&ports, "aws", &options), case["error"].as_str()) {
            (Ok(credential), None) => {
                let info = credential.info();
                assert_eq!(
                    info.metadata(Credential::TOKEN_SOURCE),
                    case["source"].as_str(),
                    "{name}"
                );
                assert_eq!(info.metadata("profile"), case["profile"].as_str(), "{name}");
                assert_eq!(info.metadata("region"), case["region"].as_str(), "{name}");
                assert_eq!(info.metadata("session_duration"), case["duration"].as_str(), "{name}");
                let captured = credential.token().same_as(&secret.secret());
                assert_eq!(captured, case["captured"] == true, "{name}");
                assert_eq!(secret.find_in_str(&format!("{info:?}")), None, "{name}");
            }
            (Err(error), Some(kind)) => {
                assert_eq!(kind_name(error.kind()), kind, "{name}: {error}");
                let hint = error.hint().unwrap();
                assert!(hint.contains(case["hint"].as_str().unwrap_or_default()), "{name}: {hint}");
                for canary in [&secret, &other] {
                    assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None, "{name}");
                }
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        }
        assert_eq!(secret.find_in_str(&ports.terminal().shown()), None, "{name}");
        ports.verify();
    }
}

#[test]
fn arns_are_checked_before_anything_else() {
    for case in table(include_str!("../data/roles.json")) {
        let arn = case["arn"].as_str().unwrap();
        let secret = key();
        let ports = Ports::new()
            .with_environment(environment(&secret.secret()))
            .with_vendor(Sts::knowing(&secret.secret()));
        match (grant(&ports, "aws", &[("role", arn)]), case["error"].as_str()) {
            (Ok(credential), None) => {
                assert_eq!(credential.info().metadata("role_arn"), Some(arn.trim()));
            }
            (Err(error), Some(part)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{arn}");
                assert!(error.cause().message().contains(part), "{arn}: {error}");
                assert!(error.hint().unwrap().contains("arn:aws:iam::123456789012:role/NAME"));
                assert!(ports.requests().is_empty(), "{arn}");
            }
            (granted, _) => panic!("{arn}: {granted:?}"),
        }
    }
}

#[test]
fn both_identities_are_shown_and_kept() {
    let secret = key();
    let ports = Ports::new()
        .with_environment(environment(&secret.secret()))
        .with_terminal(FakeTerminal::new().expect_ask("ARN of the role", ROLE))
        .with_vendor(Sts::knowing(&secret.secret()));
    let options = [
        ("region", "eu-central-1"),
        ("external-id", "partner-7"),
        ("policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("session-policy", r#"{"Version":"2012-10-17","Statement":[]}"#),
    ];
    let credential = grant(&ports, "aws", &options).unwrap();
    let shown = ports.terminal().shown();
    let session = "arn:aws:sts::123456789012:assumed-role/agent/moat-grant";
    for part in ["Using the keys in AWS_ACCESS_KEY_ID.", OWNER, ROLE, session, "eu-central-1", "1h"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let info = credential.info();
    assert_eq!(info.metadata("source_identity"), Some(OWNER));
    assert_eq!(info.metadata("session_identity"), Some(session));
    assert_eq!(info.metadata("access_key_id"), Some(ID));
    let requests = ports.requests();
    let [who, assume] = requests.as_slice() else { panic!("two requests") };
    assert_eq!(who.uri(), "https://sts.eu-central-1.amazonaws.com/");
    assert_eq!(
        assume.body(),
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Fagent\
         &RoleSessionName=moat-grant&DurationSeconds=3600&ExternalId=partner-7\
         &Policy=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D\
         &PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess"
    );
}

#[test]
fn a_run_gets_a_session_that_carries_its_name() {
    let secret = key();
    let credential = granted("aws:prod", &secret.secret(), &[("session-duration", "2h")]);
    let run = run([credential.info()], None);
    let ports = Ports::new().with_vendor(Sts::knowing(&secret.secret()));
    let minted = block_on(Aws::new().mint(&ports.host_context(), &credential, &run)).unwrap();
    assert_eq!(minted.expires_at(), Some(time("2030-03-17T18:46:40Z")));
    let names: Vec<_> = minted.secrets().names().map(ToString::to_string).collect();
    assert_eq!(names, ["session_access_key_id", "session_secret_access_key", "session_token"]);
    let body = String::from_utf8(ports.requests()[0].body().to_vec()).unwrap();
    assert!(body.contains("RoleSessionName=moat-golden&DurationSeconds=7200"), "{body}");
}

/// A profile's keys are asked for again at each session, so a login that was renewed is used.
#[test]
fn a_profile_is_read_anew_for_each_session() {
    let (old, new) = (key(), key());
    let file = |canary: &Canary| {
        let keys =
            format!("[dev]\naws_access_key_id={ID}\naws_secret_access_key={}\n", canary.text());
        FakeFiles::new().file(&credentials_file(), Secret::new(keys))
    };
    let ports = Ports::new().with_files(file(&old)).with_vendor(Sts::knowing(&old.secret()));
    let credential = grant(&ports, "aws", &[("role", ROLE), ("aws-profile", "dev")]).unwrap();
    let json =
        serde_json::to_string(&moat_provider_core::CredentialRecord::from(&credential)).unwrap();
    assert_eq!(old.find_in_str(&json), None);
    let run = run([credential.info()], None);
    let ports = Ports::new().with_files(file(&new)).with_vendor(Sts::knowing(&new.secret()));
    block_on(Aws::new().mint(&ports.host_context(), &credential, &run)).unwrap();
}

/// An answer with a time in its head.
struct Dated(&'static str);

impl Vendor for Dated {
    fn answer(&self, _: &Request<Bytes>) -> Response<Bytes> {
        let body =
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>";
        let mut answer = text(403, body);
        answer.headers_mut().insert("date", self.0.parse().unwrap());
        answer
    }
}

#[test]
fn a_wrong_clock_is_told_from_a_wrong_key() {
    for (date, part) in [
        ("Sat, 28 Nov 2026 10:35:27 GMT", "does not belong"),
        ("Sat, 28 Nov 2026 11:05:27 GMT", "clock is 30 minutes off"),
    ] {
        let ports = Ports::new()
            .with_clock(FakeClock::at(time("2026-11-28T10:35:20Z")))
            .with_environment(environment(&key().secret()))
            .with_vendor(Dated(date));
        let error = grant(&ports, "aws", &[("role", ROLE)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.cause().message().contains(part), "{error}");
    }
}

#[test]
fn options_are_those_that_are_declared() {
    assert!(request("aws", &[("s3.read", "")]).is_err());
    let aws = Aws::new();
    for name in ["prod", "a_b-C9"] {
        assert!(aws.check_qualifier(name).is_ok(), "{name}");
    }
    for name in ["s3.read", "default", "arn:aws:iam::1:role/x", "a@b"] {
        let error = aws.check_qualifier(name).unwrap_err();
        assert!(error.hint().unwrap().contains("aws:prod"), "{name}");
    }
}
