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

/// Source: the API references of the services, 2026-11.
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
];
