//! Ports that were not given refuse; grant options are checked; host files keep their order.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use moat_provider_core::{
    Answer, CommandOutput, CommandSpec, EnvVar, Environment, Error, ErrorKind, GrantContext,
    GrantOption, GrantRequest, HostDir, HostFile, Secret,
};

use crate::support::{host_context, key, now_or_never};

fn assert_missing<T: Debug>(result: Result<T, Error>, port: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortMissing);
    assert!(error.message().contains(port), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains(port)));
}

#[test]
fn a_port_that_was_not_given_refuses_with_its_name() {
    let host = host_context();
    let cx = GrantContext::builder(host.clone()).build();
    let command = CommandSpec::new("gh");
    assert_missing(now_or_never(host.http().send(Request::new(Bytes::new()))), "HTTP client");
    assert_missing(now_or_never(host.commands().run(&command)), "command runner");
    assert_missing(now_or_never(host.files().read(&HostFile::new("x"))), "file system");
    assert_missing(cx.environment().var("HOME"), "environment");
    let terminal = cx.terminal();
    assert_missing(now_or_never(terminal.tell("x")), "terminal");
    assert_missing(now_or_never(terminal.ask("x")), "terminal");
    assert_missing(now_or_never(terminal.ask_secret("x")), "terminal");
    assert_missing(now_or_never(terminal.confirm("x", Answer::No)), "terminal");
    assert_missing(now_or_never(terminal.choose("x", &["a"])), "terminal");
    assert_missing(now_or_never(terminal.run_attached(&command)), "terminal");
    assert_missing(now_or_never(terminal.open_url("https://example.com")), "terminal");
    let error = now_or_never(cx.redirects().listen("/callback")).map(drop);
    assert_missing(error, "redirect listener");
    assert_eq!(cx.host().clock().now(), time::OffsetDateTime::UNIX_EPOCH);
    now_or_never(cx.host().clock().sleep(Duration::from_secs(9)));
    let mut bytes = [9; 4];
    cx.host().entropy().fill(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
}

#[derive(Debug)]
struct Variables(&'static [(&'static str, &'static str)]);

impl Environment for Variables {
    fn var(&self, name: &str) -> Result<Option<Secret>, Error> {
        let found = self.0.iter().find(|(own, _)| *own == name);
        Ok(found.map(|(_, value)| Secret::new((*value).to_owned())))
    }
}

#[test]
fn the_first_variable_with_a_value_is_taken() {
    let first = |variables, names: &[&'static str]| {
        GrantContext::builder(host_context())
            .environment(Arc::new(Variables(variables)))
            .build()
            .first_var(names)
            .unwrap()
    };
    let (name, value) = first(&[("B", " b\n"), ("C", "c")], &["A", "B", "C"]).unwrap();
    assert!(name == "B" && value.same_as(&Secret::new("b".into())));
    assert_eq!(first(&[("A", " \n"), ("C", "c")], &["A", "C"]).unwrap().0, "C");
    assert!(first(&[("A", "")], &["A", "B"]).is_none());
    let bare = GrantContext::builder(host_context()).build();
    assert_missing(bare.first_var(&["A"]), "environment");
}

#[test]
fn a_command_is_plain_data() {
    let command = CommandSpec::new("gh")
        .args(["auth", "token"])
        .inherit(["GH_CONFIG_DIR"])
        .env(EnvVar::new("GH_PROMPT_DISABLED", "1").unwrap())
        .timeout(Duration::from_secs(5));
    assert_eq!(command.program(), "gh");
    assert_eq!(command.arguments(), ["auth", "token"]);
    assert_eq!(command.inherited(), ["GH_CONFIG_DIR"]);
    assert_eq!(command.variables()[0].name(), "GH_PROMPT_DISABLED");
    assert_eq!(command.time_limit(), Duration::from_secs(5));
    let output =
        CommandOutput::new(Some(0), Secret::new("hunter2".into()), Secret::new("hunter2".into()));
    assert!(output.succeeded() && !format!("{output:?}").contains("hunter2"));
    assert!(!CommandOutput::new(None, output.stdout, output.stderr).succeeded());
}

#[test]
fn options_of_a_grant_are_checked() {
    let known = [
        GrantOption::text("role", "ARN", "the role to assume").required(),
        GrantOption::switch("verbose", "says more"),
        GrantOption::choice("source", ["env", "prompt"], "where the token comes from"),
    ];
    let ask = |given: &[(&str, &str)]| {
        GrantRequest::with_options(key("aws:prod"), &known, given.iter().copied())
    };
    let request = ask(&[("role", "arn:x"), ("verbose", ""), ("source", "env")]).unwrap();
    assert_eq!((request.option("role"), request.option("source")), (Some("arn:x"), Some("env")));
    assert!(request.has("verbose") && !request.has("other"));
    assert_eq!(request.key(), &key("aws:prod"));
    for (given, part) in [
        (&[("rule", "x")][..], "--rule"),
        (&[], "needs --role: the role to assume"),
        (&[("role", "")], "needs a value"),
        (&[("role", "a"), ("role", "b")], "twice"),
        (&[("role", "a"), ("verbose", "yes")], "takes no value"),
        (&[("role", "a"), ("source", "file")], "does not take \"file\""),
    ] {
        let error = ask(given).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(known[2].name(), "source");
    assert!(known[0].is_required() && !known[1].is_required());
}

#[test]
fn a_host_file_is_looked_for_in_order() {
    let file = HostFile::new("gh/config.yml")
        .at(HostDir::Variable("GH_CONFIG_DIR"), "config.yml")
        .at(HostDir::Config, "gh/config.yml");
    let places: Vec<_> = file.candidates().iter().map(|c| (c.dir(), c.relative())).collect();
    assert_eq!(
        places,
        [(HostDir::Variable("GH_CONFIG_DIR"), "config.yml"), (HostDir::Config, "gh/config.yml")]
    );
    assert_eq!(file.name(), "gh/config.yml");
}
