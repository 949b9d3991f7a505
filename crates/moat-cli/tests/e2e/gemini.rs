//! Gemini CLI in the sandbox, with each kind of credential.

use std::sync::Arc;

use crate::agents::Agent;
use crate::google::{API, Google, LOGIN};
use crate::machine::Machine;
use crate::mcp::Notes;
use crate::vendor::Double;

const GRANT: &[&str] = &["--grant", "gemini"];

fn gemini() -> Agent {
    Agent::new("gemini", &[".bin"])
}

/// Makes a machine whose person has granted a key.
pub(crate) async fn machine() -> (Machine, Arc<Google>) {
    let google = Arc::new(Google::new());
    let machine = Machine::with([google.clone() as Arc<dyn Double>]).await;
    google.grant_key(&machine).await;
    (machine, google)
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn each_credential_answers_a_prompt_and_nothing_else_does() {
    let (machine, google) = machine().await;
    for (who, host) in [("key", API), ("login", LOGIN)] {
        if who == "login" {
            google.grant_login(&machine).await;
        }
        let before = machine.vendor.asked(who);
        let answered = gemini().run(&machine, GRANT, "--help me").await;
        assert!(answered.text().contains("hello from the double"), "{answered}");
        assert!(machine.vendor.asked(who) > before, "{:?}", machine.vendor.seen());
        let strangers = machine.vendor.seen().into_iter().filter(|seen| seen.host == host);
        let strangers: Vec<_> = strangers.filter(|seen| seen.account.is_none()).collect();
        assert!(strangers.is_empty(), "nothing arrived without a credential: {strangers:?}");
    }
    let variables = ["GEMINI_API_KEY=made-up", "GEMINI_CLI_TRUST_WORKSPACE=true"];
    let command = ["gemini", "--prompt=hello"];
    let refused = gemini().stranger(&machine, API, &variables, &command).await;
    assert!(refused.code != Some(0) && refused.says("API key not valid"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn its_tools_and_servers_work_and_find_no_secret() {
    let (machine, google) = machine().await;
    let looked = gemini().look_around(&machine, GRANT).await;
    assert!(looked.contains("gemini-api-key"), "the settings were read");
    gemini().use_server(&machine, GRANT).await;
    google.grant_login(&machine).await;
    let looked = gemini().look_around(&machine, GRANT).await;
    assert!(looked.contains("GOOGLE_CLOUD_ACCESS_TOKEN=ya29."));
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_service_gets_its_credential_on_its_own_host() {
    let (google, notes) = (Arc::new(Google::new()), Arc::new(Notes::new()));
    let machine = Machine::with([google.clone() as Arc<dyn Double>, notes.clone()]).await;
    google.grant_key(&machine).await;
    gemini().use_service(&machine, &notes, GRANT).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_conversation_goes_on_in_the_next_run() {
    let (machine, _) = machine().await;
    gemini().converse(&machine, GRANT, |machine| machine.vendor.bodies(API)).await;
    gemini().resume(&machine, GRANT, |machine| machine.vendor.bodies(API)).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_credential_that_was_revoked_says_what_to_do() {
    for who in ["key", "login"] {
        let (machine, google) = machine().await;
        if who == "login" {
            google.grant_login(&machine).await;
        }
        machine.vendor.revoke_all();
        let refused = gemini().run(&machine, GRANT, "hello").await;
        assert_ne!(refused.code, Some(0), "{who}: {refused}");
        assert!(refused.says("moat grant gemini"), "{who}: {refused}");
    }
    // The host says it too, where nobody reads the answer.
    let (machine, _) = machine().await;
    let url = format!("https://{API}/v1beta/models");
    let unread = ["curl", "-sS", "-o", "/dev/null", &url];
    let accepted = machine.run(GRANT, &unread).await;
    assert!(!accepted.says("moat grant"), "{accepted}");
    machine.vendor.revoke_all();
    let refused = machine.run(GRANT, &unread).await;
    assert!(refused.says("moat grant gemini"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_token_that_would_outlive_the_run_is_not_issued_and_no_flag_is_suggested() {
    let (machine, _) = machine().await;
    let url = format!("https://{API}/v1alpha/auth_tokens");
    let flags = [GRANT, &["--policy", "strict"]].concat();
    let refused = machine.run(&flags, &["curl", "-sS", "-X", "POST", &url]).await;
    assert!(refused.says("no flag of a run helps") && !refused.says("--allow"), "{refused}");
    assert!(machine.vendor.seen().iter().all(|seen| !seen.path.contains("auth_tokens")));
}
