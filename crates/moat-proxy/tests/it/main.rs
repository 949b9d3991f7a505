//! Tests of the public interface.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod run_rules;

mod behaviour_failure;
mod behaviour_identity;
mod behaviour_policy;
mod behaviour_run;
mod behaviour_traffic;
mod engine_answer;
mod engine_body;
mod engine_hygiene;
mod engine_issuing;
mod engine_lookup;
mod engine_properties;
mod engine_signing;
mod engine_slots;
mod engine_strict;
mod engine_substitution;
mod engine_support;
mod engine_vendors;
mod grants;
mod hole_address;
mod hole_ca;
mod hole_echo;
mod hole_frozen;
mod hole_header;
mod hole_log;
mod hole_other_host;
mod hole_path;
mod hole_position;
mod hole_redirect;
mod hole_smuggling;
mod hole_stream;
mod names;
mod plane_basic;
mod plane_clients;
mod plane_defer;
mod plane_early;
mod plane_flood;
mod plane_raw_host;
mod plane_records;
mod plane_revoke;
mod plane_sample;
mod plane_seam;
mod plane_stream;
mod plane_translate;
mod plane_tunnel;
mod plane_upgrade;
mod plane_wire;
mod policy_addresses;
mod policy_authorities;
mod policy_entries;
mod policy_paths;
mod policy_requests;
mod policy_support;
mod policy_tunnels;
mod raw_http2;
mod scrub_coded;
mod scrub_grpc;
mod scrub_head;
mod scrub_support;
mod scrub_text;
mod scrub_websocket;
