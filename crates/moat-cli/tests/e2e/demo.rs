//! The tour, as a newcomer starts it.

use crate::program::Program;

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn the_tour_needs_nothing_and_shows_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    let moat =
        || Program::new(env!("CARGO_BIN_EXE_moat")).env("HOME", home.path()).directory(home.path());
    let shown = moat().arg("demo").run().await.text();
    for expected in ["bubblewrap", "200 {\"login\":\"octocat\"}", "401", "nowhere"] {
        assert!(shown.contains(expected), "{shown}");
    }
    let told = moat().args(["demo", "--json"]).run().await.text();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["ok"], &told["token_found"]), (&true.into(), &false.into()), "{told}");
    assert_eq!(told["api_received"], serde_json::json!(["the token"]), "{told}");
    assert_eq!(told["api_received_without_grant"], serde_json::json!(["no credential"]), "{told}");
    assert_eq!(told["other_host_received"], serde_json::json!(["the placeholder"]), "{told}");
    let places = serde_json::json!(["environment", "files", "memory"]);
    assert_eq!(told["placeholder_found_in"], places, "the search works: {told}");
    assert!(told["searched_bytes"].as_u64().unwrap() > 10_000_000, "{told}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it leaves nothing behind");
}
