//! The services, and which of their operations hand something out.

use self::Issues::{Access, Credential};
use self::Protocol::{Form, Target};

/// What an operation hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issues {
    /// Its answer holds a credential: never.
    Credential,
    /// It creates access that outlives the run: if the person allows it.
    Access,
}

/// How the rest of a service's operations are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Pass,
    /// Each one that is not listed issues a credential.
    Refused(&'static [&'static str]),
}

/// Where a service's requests name their operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// In a form field: the protocols `query` and `ec2`.
    Form,
    /// In a header or the path: the protocols `json` and `rpcv2Cbor`.
    Target,
}

pub(super) struct Service {
    /// The name in signatures.
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) operations: &'static [(&'static str, Issues)],
    pub(super) others: Others,
}

/// Services whose signed calls answer with credentials and nothing else: tokens of IAM Identity
/// Center and of the sign-in, and sessions of EKS pods.
pub(super) const WHOLE: [&str; 3] = ["eks-auth", "signin", "sso-oauth"];

/// Source: the service models of botocore 1.44, searched for answers with keys and tokens, and the
/// API references.
pub(super) const SERVICES: &[Service] = &[
    Service {
        name: "sts",
        protocol: Form,
        operations: &[],
        others: Others::Refused(&[
            "GetCallerIdentity",
            "GetAccessKeyInfo",
            "DecodeAuthorizationMessage",
        ]),
    },
    Service {
        name: "iam",
        protocol: Form,
        operations: &[
            ("CreateAccessKey", Credential),
            ("CreateServiceSpecificCredential", Credential),
            ("ResetServiceSpecificCredential", Credential),
            ("CreateVirtualMFADevice", Credential),
            ("AddClientIDToOpenIDConnectProvider", Access),
            ("AddRoleToInstanceProfile", Access),
            ("AddUserToGroup", Access),
            ("AttachGroupPolicy", Access),
            ("AttachRolePolicy", Access),
            ("AttachUserPolicy", Access),
            ("CreateLoginProfile", Access),
            ("CreateOpenIDConnectProvider", Access),
            ("CreatePolicyVersion", Access),
            ("CreateRole", Access),
            ("CreateSAMLProvider", Access),
            ("CreateUser", Access),
            ("DeleteRolePermissionsBoundary", Access),
            ("DeleteUserPermissionsBoundary", Access),
            ("EnableMFADevice", Access),
            ("PutGroupPolicy", Access),
            ("PutRolePermissionsBoundary", Access),
            ("PutRolePolicy", Access),
            ("PutUserPermissionsBoundary", Access),
            ("PutUserPolicy", Access),
            ("SetDefaultPolicyVersion", Access),
            ("UpdateAccessKey", Access),
            ("UpdateAssumeRolePolicy", Access),
            ("UpdateLoginProfile", Access),
            ("UpdateOpenIDConnectProviderThumbprint", Access),
            ("UpdateSAMLProvider", Access),
            ("UpdateServiceSpecificCredential", Access),
            ("UploadSSHPublicKey", Access),
            ("UploadSigningCertificate", Access),
        ],
        others: Others::Pass,
    },
    Service {
        name: "ecr",
        protocol: Target,
        operations: &[("GetAuthorizationToken", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "ecr-public",
        protocol: Target,
        operations: &[("GetAuthorizationToken", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "cognito-identity",
        protocol: Target,
        operations: &[
            ("GetCredentialsForIdentity", Credential),
            ("GetOpenIdToken", Credential),
            ("GetOpenIdTokenForDeveloperIdentity", Credential),
            ("SetIdentityPoolRoles", Access),
        ],
        others: Others::Pass,
    },
    Service {
        name: "redshift",
        protocol: Form,
        operations: &[
            ("GetClusterCredentials", Credential),
            ("GetClusterCredentialsWithIAM", Credential),
            ("GetIdentityCenterAuthToken", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "redshift-serverless",
        protocol: Target,
        operations: &[("GetCredentials", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "ec2",
        protocol: Form,
        operations: &[
            ("CreateKeyPair", Credential),
            ("GetPasswordData", Credential),
            ("ImportKeyPair", Access),
            ("AssociateIamInstanceProfile", Access),
            ("ReplaceIamInstanceProfileAssociation", Access),
        ],
        others: Others::Pass,
    },
    Service {
        name: "ec2-instance-connect",
        protocol: Target,
        operations: &[("SendSSHPublicKey", Access), ("SendSerialConsoleSSHPublicKey", Access)],
        others: Others::Pass,
    },
    Service {
        name: "ssm",
        protocol: Target,
        operations: &[("CreateActivation", Credential), ("GetAccessToken", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "lightsail",
        protocol: Target,
        operations: &[
            ("CreateBucketAccessKey", Credential),
            ("CreateContainerServiceRegistryLogin", Credential),
            ("CreateKeyPair", Credential),
            ("DownloadDefaultKeyPair", Credential),
            ("GetBucketAccessKeys", Credential),
            ("GetInstanceAccessDetails", Credential),
            ("GetRelationalDatabaseMasterUserPassword", Credential),
            ("ImportKeyPair", Access),
        ],
        others: Others::Pass,
    },
    Service {
        name: "sso",
        protocol: Target,
        operations: &[
            ("CreateAccountAssignment", Access),
            ("PutInlinePolicyToPermissionSet", Access),
            ("AttachManagedPolicyToPermissionSet", Access),
        ],
        others: Others::Pass,
    },
    Service {
        name: "identitystore",
        protocol: Target,
        operations: &[("CreateUser", Access), ("CreateGroupMembership", Access)],
        others: Others::Pass,
    },
    Service {
        name: "sagemaker",
        protocol: Target,
        operations: &[
            ("CreatePresignedDomainUrl", Credential),
            ("CreatePresignedMlflowAppUrl", Credential),
            ("CreatePresignedMlflowTrackingServerUrl", Credential),
            ("CreatePresignedNotebookInstanceUrl", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "transfer",
        protocol: Target,
        operations: &[("ImportSshPublicKey", Access), ("CreateUser", Access)],
        others: Others::Pass,
    },
    Service {
        name: "acm",
        protocol: Target,
        operations: &[("ExportCertificate", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "airflow-serverless",
        protocol: Target,
        operations: &[("CreateAirflowUiUrl", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "athena",
        protocol: Target,
        operations: &[
            ("CreatePresignedNotebookUrl", Credential),
            ("GetSessionEndpoint", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "cloudwatch",
        protocol: Target,
        operations: &[
            ("GetSpaceCredentialsForOrganization", Credential),
            ("GetSpaceDataAccess", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "codepipeline",
        protocol: Target,
        operations: &[
            ("GetJobDetails", Credential),
            ("GetThirdPartyJobDetails", Credential),
            ("PollForJobs", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "elasticmapreduce",
        protocol: Target,
        operations: &[
            ("GetClusterSessionCredentials", Credential),
            ("GetSessionEndpoint", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "gamelift",
        protocol: Target,
        operations: &[
            ("CreateBuild", Credential),
            ("GetComputeAccess", Credential),
            ("GetComputeAuthToken", Credential),
            ("RequestUploadCredentials", Credential),
        ],
        others: Others::Pass,
    },
    Service {
        name: "glue",
        protocol: Target,
        operations: &[("GetSessionEndpoint", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "IoTSecuredTunneling",
        protocol: Target,
        operations: &[("OpenTunnel", Credential), ("RotateTunnelAccessToken", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "kinesisanalytics",
        protocol: Target,
        operations: &[("CreateApplicationPresignedUrl", Credential)],
        others: Others::Pass,
    },
    Service {
        name: "license-manager",
        protocol: Target,
        operations: &[("GetAccessToken", Credential)],
        others: Others::Pass,
    },
];
