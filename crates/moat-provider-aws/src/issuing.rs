//! Endpoints that issue credentials or lasting access and are told by method and path (law L16).
//!
//! Operations that share one path with all others of their service are refused by the signer: see
//! [`calls`](crate::calls).

use http::Method;
use moat_provider_core::{CredentialInfo, IssuingEndpoint, IssuingEndpoints, Result, Target};

use crate::settings::{Mode, Settings};

/// Method, path (with all below it) at every host of the partition, and what is issued there.
///
/// Source: the service models of botocore 1.44, searched for answers with keys and tokens, and the
/// API references.
const PATHS: [(Method, &str, &str); 37] = [
    (
        Method::POST,
        "/v1/authorization-token",
        "a token of CodeArtifact, for registries of packages",
    ),
    (Method::GET, "/v20180820/accessgrantsinstance/dataaccess", "keys of an S3 access grant"),
    (Method::GET, "/federation/credentials", "keys of a role of IAM Identity Center"),
    (Method::GET, "/access/credentials", "keys of a role of another account"),
    (Method::POST, "/client/register", "a login of IAM Identity Center, which belongs on the host"),
    (
        Method::POST,
        "/device_authorization",
        "a login of IAM Identity Center, which belongs on the host",
    ),
    (Method::POST, "/clusters/*/assume-role-for-pod-identity", "keys of a pod's role in EKS"),
    (Method::POST, "/clusters/*/access-entries", "another identity's access to an EKS cluster"),
    (Method::POST, "/clusters/*/pod-identity-associations", "a role's access for pods of EKS"),
    (Method::POST, "/GetTemporaryDataLocationCredentials", "keys of Lake Formation"),
    (Method::POST, "/GetTemporaryGlueFunctionCredentials", "keys of Lake Formation"),
    (Method::POST, "/GetTemporaryGluePartitionCredentials", "keys of Lake Formation"),
    (Method::POST, "/GetTemporaryGlueTableCredentials", "keys of Lake Formation"),
    (Method::POST, "/AssumeDecoratedRoleWithSAML", "keys of Lake Formation"),
    (Method::GET, "/v2/domains/*/environments/*/credentials", "keys of an environment of DataZone"),
    (Method::GET, "/v2/domains/*/connections/*", "keys of a connection of DataZone"),
    (Method::GET, "/2023-10-12/farms/*/fleets/*/read-roles", "keys of a fleet of Deadline Cloud"),
    (
        Method::GET,
        "/2023-10-12/farms/*/fleets/*/workers/*/fleet-roles",
        "keys of a fleet of Deadline Cloud",
    ),
    (
        Method::GET,
        "/2023-10-12/farms/*/fleets/*/workers/*/queue-roles",
        "keys of a queue of Deadline Cloud",
    ),
    (Method::GET, "/2023-10-12/farms/*/queues/*/read-roles", "keys of a queue of Deadline Cloud"),
    (Method::GET, "/2023-10-12/farms/*/queues/*/user-roles", "keys of a queue of Deadline Cloud"),
    (Method::POST, "/identities/oauth2/token", "a token of an agent's identity"),
    (Method::POST, "/identities/payment/token", "a token of an agent's identity"),
    (Method::POST, "/identities/GetWorkloadAccessToken", "a token of an agent's identity"),
    (Method::POST, "/identities/GetWorkloadAccessTokenForJWT", "a token of an agent's identity"),
    (Method::POST, "/identities/GetWorkloadAccessTokenForUserId", "a token of an agent's identity"),
    (Method::POST, "/keys-and-certificate", "a key and a certificate of IoT"),
    (Method::POST, "/certificates", "a certificate of IoT"),
    (
        Method::POST,
        "/provisioning-templates/*/provisioning-claim",
        "a key and a certificate of IoT",
    ),
    (Method::POST, "/apikeys", "a key of API Gateway"),
    (Method::POST, "/v1/apis/*/apikeys", "a key of AppSync"),
    (Method::GET, "/user/federate/*", "a token of Amazon Connect"),
    (Method::POST, "/workspaces/*/apikeys", "a key of a Grafana workspace"),
    (Method::POST, "/workspaces/*/serviceaccounts/*/tokens", "a token of a Grafana workspace"),
    (Method::POST, "/clitoken/*", "a token of Airflow"),
    (Method::POST, "/webtoken/*", "a token of Airflow"),
    (Method::POST, "/trustanchors", "a trust anchor of IAM Roles Anywhere"),
];

/// Returns the endpoints of the partition of a role.
pub(crate) fn endpoints(info: &CredentialInfo) -> Result<IssuingEndpoints> {
    let settings = Settings::of(info)?;
    if settings.mode == Mode::Endpoint {
        return Ok(IssuingEndpoints::none(
            "the container signs with the session's own keys, which a session policy narrows",
        ));
    }
    let mut endpoints = Vec::new();
    for host in settings.role.partition().hosts() {
        for (method, path, issues) in &PATHS {
            let target = Target::host(&host)?.under(path)?.methods([method.clone()])?;
            endpoints.push(IssuingEndpoint::new(target, *issues));
        }
    }
    Ok(endpoints.into_iter().collect())
}
