//! Podman: no daemon.

use std::fs;

use crate::engine::{self, CLIENTS, Engine};
use crate::machine::Machine;

/// Makes a machine whose person has Podman and an image with these programs.
async fn podman(programs: &[&str]) -> Engine {
    let machine = Machine::granted().await;
    let store = machine.path("podman");
    fs::create_dir(&store).unwrap();
    // crun knows no machine whose control groups are of both versions.
    let configuration = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n\
                         events_logger = \"file\"\n";
    fs::write(store.join("containers.conf"), configuration).unwrap();
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
        store.display()
    );
    fs::write(store.join("storage.conf"), storage).unwrap();
    let variables = [
        ("HOME", store.clone()),
        ("CONTAINERS_CONF", store.join("containers.conf")),
        ("CONTAINERS_STORAGE_CONF", store.join("storage.conf")),
    ];
    let engine = Engine::new(machine, "podman", variables);
    engine.import(&store, programs).await;
    engine
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn clients_are_logged_in_and_find_no_token() {
    engine::clients_are_logged_in_and_find_no_token(&podman(CLIENTS).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn the_run_s_socket_is_the_only_way_out() {
    engine::the_run_s_socket_is_the_only_way_out(&podman(&["curl"]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn what_the_host_sees_has_no_token() {
    engine::what_the_host_sees_has_no_token(&podman(&["curl"]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn variables_arrive_as_they_are() {
    engine::variables_arrive_as_they_are(&podman(&[]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn a_run_is_stopped_while_it_starts() {
    engine::a_run_is_stopped_while_it_starts(&podman(&[]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn exit_codes_and_signals_pass_through() {
    engine::exit_codes_and_signals_pass_through(&podman(&[]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn nothing_is_left_of_a_container() {
    engine::nothing_is_left_of_a_container(&podman(&[]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn a_shell_is_where_the_command_is() {
    engine::a_shell_is_where_the_command_is(&podman(&["curl"]).await).await;
}

#[tokio::test]
#[ignore = "needs Podman and Python; run cargo xtask e2e"]
async fn keys_of_a_terminal_are_for_the_command() {
    engine::keys_of_a_terminal_are_for_the_command(&podman(&[]).await).await;
}
