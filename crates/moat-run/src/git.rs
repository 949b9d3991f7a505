//! What git finds in a container: who commits, which repositories are safe, and how it logs in.
//!
//! The person's configuration is foreign to the container: it names commands, keys and files of the
//! host, and may hold tokens. What is taken over is chosen key by key.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use moat_provider_core::{
    CommandSpec, ContainerPath, HeaderTemplate, HostContext, ProxyRules, Secret, StagedFile,
};

use crate::Result;

/// The keys of the person's configuration that are taken over, in lower case as git lists them. One
/// that ends with a dot stands for all below it.
const KEYS: &[&str] = &[
    "advice.",
    "branch.autosetuprebase",
    "color.",
    "column.",
    "commit.cleanup",
    "commit.verbose",
    "core.abbrev",
    "core.autocrlf",
    "core.eol",
    "core.quotepath",
    "core.whitespace",
    "diff.algorithm",
    "diff.colormoved",
    "diff.mnemonicprefix",
    "diff.renames",
    "fetch.prune",
    "fetch.prunetags",
    "format.pretty",
    "init.defaultbranch",
    "log.date",
    "merge.conflictstyle",
    "merge.ff",
    "pull.ff",
    "pull.rebase",
    "push.autosetupremote",
    "push.default",
    "push.followtags",
    "rebase.autosquash",
    "rebase.autostash",
    "rebase.updaterefs",
    "rerere.enabled",
    "status.short",
    "status.showuntrackedfiles",
    "tag.sort",
    "user.email",
    "user.name",
];

/// How git logs in at one host: with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLogin {
    /// The host, with its port where that is not 443.
    pub host: String,
    /// The user.
    pub user: String,
    /// What stands for the password.
    pub placeholder: String,
}

/// Returns the logins that the rules of a run have: where a credential goes out as Basic, each host
/// once.
#[must_use]
pub fn logins(rules: &ProxyRules) -> Vec<GitLogin> {
    let mut seen = BTreeSet::new();
    let login = |rule: &moat_provider_core::CredentialRule| {
        let HeaderTemplate::Basic { user } = rule.template() else { return None };
        let host = rule.target().host_pattern().to_string();
        let placeholder = rule.placeholders().first()?.as_str().to_owned();
        (!host.contains('*')).then(|| GitLogin { host, user: user.to_string(), placeholder })
    };
    let all = rules.credentials().iter().filter_map(login);
    all.filter(|login| seen.insert(login.host.clone())).collect()
}

/// Reads the person's configuration with their own git, outside of any workspace; nothing where
/// there is no git.
pub async fn personal(cx: &HostContext) -> Option<Secret> {
    let command =
        CommandSpec::new("git").args(["config", "--global", "--list", "-z", "--includes"]);
    let output = cx.commands().run(&command).await.ok()?;
    output.succeeded().then_some(output.stdout)
}

/// Makes `~/.gitconfig`.
///
/// `personal` is what `git config --list -z` printed.
///
/// # Errors
///
/// None in practice: the path below a home directory is valid.
pub fn stage(
    home: &ContainerPath,
    workspace: &ContainerPath,
    personal: Option<&Secret>,
    logins: &[GitLogin],
) -> Result<StagedFile> {
    let mut text = String::new();
    for (key, value) in personal.map(chosen).unwrap_or_default() {
        put(&mut text, &key, &value);
    }
    put(&mut text, "safe.directory", workspace.as_str());
    // Helpers of the system, which know nothing here, are not asked.
    put(&mut text, "credential.helper", "");
    for GitLogin { host, user, placeholder } in logins {
        let url = format!("https://{host}");
        let (user, password) = (quoted_for_shell(user), quoted_for_shell(placeholder));
        let helper = format!(
            "!f() {{ test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' {user} {password}; }}; f"
        );
        put(&mut text, &format!("credential.{url}.helper"), &helper);
        for other in [format!("git@{host}:"), format!("ssh://git@{host}/")] {
            put(&mut text, &format!("url.{url}/.insteadof"), &other);
        }
    }
    Ok(StagedFile::new(home.join(".gitconfig")?, text))
}

#[expect(clippy::disallowed_methods, reason = "what is taken over of it is chosen key by key")]
fn chosen(personal: &Secret) -> Vec<(String, String)> {
    let entries = personal.expose().split('\0').filter_map(|entry| entry.split_once('\n'));
    let entries = entries.filter(|(key, value)| is_chosen(key, value));
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn is_chosen(key: &str, value: &str) -> bool {
    if let Some(name) = key.strip_prefix("alias.") {
        // An alias with an exclamation mark is a command of the host's shell.
        return !name.contains('.') && !value.trim_start().starts_with(['!', '-']);
    }
    KEYS.iter().any(|known| match known.strip_suffix('.') {
        Some(section) => key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')),
        None => key == *known,
    })
}

/// Writes one entry (git-config(1), "Syntax").
fn put(text: &mut String, key: &str, value: &str) {
    let Some((section, name)) = key.rsplit_once('.') else { return };
    let _ = match section.split_once('.') {
        Some((section, sub)) => writeln!(text, "[{section} {}]", quoted(sub)),
        None => writeln!(text, "[{section}]"),
    };
    let _ = writeln!(text, "\t{name} = {}", quoted(value));
}

fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted_for_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(personal: &str, logins: &[GitLogin]) -> String {
        let personal = Secret::new(personal.replace('|', "\0").replace('=', "\n"));
        let (home, workspace) = ("/home/agent".parse().unwrap(), "/w/x y".parse().unwrap());
        let file = stage(&home, &workspace, Some(&personal), logins).unwrap();
        assert_eq!(file.path().as_str(), "/home/agent/.gitconfig");
        String::from_utf8(file.contents().to_vec()).unwrap()
    }

    #[test]
    fn who_commits_is_taken_over_and_what_runs_or_authenticates_is_not() {
        let kept = "user.name=A \"B\" \\|user.email=a@b.test|alias.lg=log --oneline|color.ui=auto";
        let out = "core.pager=less|core.sshcommand=ssh -i key|alias.x=!sh|core.hookspath=/h|\
                   http.extraheader=Authorization: x|credential.helper=store|gpg.program=/x|\
                   core.fsmonitor=/x|url.https://t@h/.insteadof=x|filter.lfs.clean=x|user.signingkey=k|\
                   alias.y=-c core.pager=x log|include.path=/x|core.editor=vim|difftool.x.cmd=y";
        let text = text(&format!("{kept}|{out}"), &[]);
        assert_eq!(
            text,
            "[user]\n\tname = \"A \\\"B\\\" \\\\\"\n[user]\n\temail = \"a@b.test\"\n\
             [alias]\n\tlg = \"log --oneline\"\n[color]\n\tui = \"auto\"\n\
             [safe]\n\tdirectory = \"/w/x y\"\n[credential]\n\thelper = \"\"\n"
        );
    }

    #[test]
    fn hosts_with_a_grant_have_a_helper_and_are_reached_over_https() {
        let login = GitLogin {
            host: "git.test:8443".into(),
            user: "it's".into(),
            placeholder: "ghp_placeholder".into(),
        };
        let text = text("", &[login]);
        assert!(text.contains("[credential \"https://git.test:8443\"]\n"), "{text}");
        assert!(text.contains("'it'\\\\''s' 'ghp_placeholder'"), "{text}");
        assert!(text.contains("insteadof = \"git@git.test:8443:\""), "{text}");
        assert!(text.contains("insteadof = \"ssh://git@git.test:8443/\""), "{text}");
    }
}
