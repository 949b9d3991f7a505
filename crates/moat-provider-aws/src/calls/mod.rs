//! Operations that issue credentials or lasting access (law L16), as signed requests name them.
//!
//! AWS names an operation in one of four places: a form field `Action` (in the body or the query),
//! the `X-Amz-Target` header, the end of the path of the RPC protocol, or method and path of REST.
//! The last are declared by [`issuing`](crate::issuing); the others are told here.

mod services;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request;
use moat_provider_core::{Error, ErrorKind, Result};

use self::services::Issues::{self, Access, Credential};
use self::services::Protocol::{Form, Target};
use self::services::{Others, SERVICES, Service, WHOLE};
use crate::sigv4::{Scope, decoded, pairs};

/// Which calls a grant may make although they create lasting access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    allowed: Vec<String>,
}

/// What the head of a request tells.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// It may go.
    Allowed,
    /// The operation may stand in the body.
    BodyTells(BodyCall),
}

/// A call whose operation may stand in the body.
#[derive(Debug)]
pub(crate) struct BodyCall {
    service: &'static str,
    allowed: Vec<String>,
    named: Vec<String>,
}

impl Calls {
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a call that nobody refuses, or that nobody can allow.
    pub(crate) fn allowing(allowed: Vec<String>) -> Result<Self> {
        for call in &allowed {
            let issues = call.split_once(':').and_then(|(service, operation)| {
                let listed = find(service)?.operations.iter();
                listed.clone().find(|(own, _)| *own == operation).map(|(_, issues)| *issues)
            });
            match issues {
                Some(Access) => {}
                Some(Credential) => {
                    return Err(Error::invalid(format!(
                        "{call} answers with a credential, and is refused always"
                    ))
                    .with_hint("make that credential on the host, and grant it there"));
                }
                None => {
                    return Err(Error::invalid(format!("{call:?} is not a call that is refused"))
                        .with_hint(
                            "write SERVICE:OPERATION as in a policy, such as iam:CreateRole",
                        ));
                }
            }
        }
        Ok(Self { allowed })
    }

    pub(crate) fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// Judges a request by its head.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] for an operation that issues something.
    pub(crate) fn judge_head(&self, scope: &Scope, head: &request::Parts) -> Result<Judgement> {
        // Sessions of directory buckets are keys of their own (S3 API reference, "CreateSession").
        let query = head.uri.query().unwrap_or_default();
        if scope.service == "s3express" && pairs(query).any(|(name, _)| decoded(name) == b"session")
        {
            return Err(refused("s3express:CreateSession", Credential));
        }
        if WHOLE.contains(&&*scope.service) {
            return Err(refused(&format!("{}:*", scope.service), Credential));
        }
        let Some(service) = find(&scope.service) else {
            return Ok(Judgement::Allowed);
        };
        let named: Vec<String> = in_head(head)?;
        let call = BodyCall { service: service.name, allowed: self.allowed.clone(), named };
        call.judge(service, &call.named)?;
        match service.protocol {
            Form => Ok(Judgement::BodyTells(call)),
            // Other paths are those of a REST service under the same name.
            Target if call.named.is_empty() && head.uri.path() == "/" => Err(call.unreadable()),
            Target => Ok(Judgement::Allowed),
        }
    }
}

impl BodyCall {
    /// Judges a request by its body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] for an operation that issues something, or that cannot be
    /// told.
    pub(crate) fn judge_body(mut self, head: &request::Parts, body: &[u8]) -> Result<()> {
        if !body.is_empty() {
            if !is_form(head) || head.headers.contains_key(CONTENT_ENCODING) {
                return Err(self.unreadable());
            }
            let text = std::str::from_utf8(body).map_err(|_| self.unreadable())?;
            let named = actions(text).ok_or_else(|| self.unreadable())?;
            self.named.extend(named);
        }
        if self.named.len() != 1 {
            return Err(self.unreadable());
        }
        match find(self.service) {
            Some(service) => self.judge(service, &self.named),
            None => Ok(()),
        }
    }

    fn unreadable(&self) -> Error {
        denied(format!("the operation of a request to {} cannot be read", self.service))
            .with_hint("name one operation, in the way of the service's own clients")
    }

    fn judge(&self, service: &Service, named: &[String]) -> Result<()> {
        for operation in named {
            let call = format!("{}:{operation}", service.name);
            let listed =
                service.operations.iter().find(|(own, _)| own.eq_ignore_ascii_case(operation));
            let issues = match (listed, service.others) {
                (Some((_, issues)), _) => *issues,
                (None, Others::Pass) => continue,
                (None, Others::Refused(but)) if but.contains(&&**operation) => continue,
                (None, Others::Refused(_)) => Credential,
            };
            if issues == Credential || !self.allowed.contains(&call) {
                return Err(refused(&call, issues));
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// Returns the operations that a head names.
fn in_head(head: &request::Parts) -> Result<Vec<String>> {
    let unreadable = || {
        denied("the operation of a request cannot be read").with_hint("name it once, in plain text")
    };
    let mut named = actions(head.uri.query().unwrap_or_default()).ok_or_else(unreadable)?;
    for target in head.headers.get_all("x-amz-target") {
        let target = target.to_str().map_err(|_| unreadable())?;
        let operation = target.rsplit('.').next().unwrap_or(target).trim();
        named.push(operation.to_owned());
    }
    let path = String::from_utf8(decoded(head.uri.path())).map_err(|_| unreadable())?;
    // All that follows: which of these segments is the operation may depend on how many slashes,
    // dots and parameters a server leaves out.
    let mut segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or(segment));
    if segments.any(|segment| segment.eq_ignore_ascii_case("operation")) {
        named.extend(segments.filter(|segment| !segment.is_empty()).map(str::to_owned));
    }
    Ok(named)
}

/// Whether a body is a form that everybody reads alike: one whose characters have another code than
/// ASCII holds other fields for who minds it.
fn is_form(head: &request::Parts) -> bool {
    let mut media = head.headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(media)), None) = (media.next().map(|value| value.to_str()), media.next()) else {
        return false;
    };
    let mut parts = media.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// Returns the values of `Action` in a form, in whatever coding, also where only who splits at `;`
/// too finds one; `None` when one is not text.
fn actions(form: &str) -> Option<Vec<String>> {
    let plain = |text: &str| String::from_utf8(decoded(&text.replace('+', " "))).ok();
    let behind = form.split('&').flat_map(|pair| pair.split(';').skip(1)).flat_map(pairs);
    let mut found = Vec::new();
    for (name, value) in pairs(form).chain(behind) {
        if plain(name)?.trim().eq_ignore_ascii_case("action") {
            found.push(plain(value)?.trim().to_owned());
        }
    }
    Some(found)
}

fn denied(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::PermissionDenied, what)
}

fn refused(call: &str, issues: Issues) -> Error {
    match issues {
        Credential => {
            denied(format!("{call} answers with a credential, which would be in the container"))
                .with_hint("make it on the host, and grant it there")
        }
        Access => denied(format!("{call} creates access that would outlive the run"))
            .with_hint(format!("if that is wanted: moat grant aws ... --allow-call {call}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(service: &str) -> Scope {
        Scope { day: String::new(), region: "us-east-1".into(), service: service.into() }
    }

    fn post(url: &str, headers: &[(&'static str, &str)]) -> request::Parts {
        let mut request = http::Request::post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

    fn passes(calls: &Calls, service: &str, head: &request::Parts, body: &str) -> bool {
        match calls.judge_head(&scope(service), head) {
            Ok(Judgement::Allowed) => true,
            Ok(Judgement::BodyTells(call)) => call.judge_body(head, body.as_bytes()).is_ok(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                false
            }
        }
    }

    #[test]
    fn forms_name_their_operation_once() {
        let calls = Calls::default();
        let head = post("https://sts.us-east-1.amazonaws.com/", &[FORM]);
        for (body, fine) in [
            ("Action=GetCallerIdentity&Version=2011-06-15", true),
            ("Action=AssumeRole&RoleArn=x", false),
            ("Action=AssumeRoleWithWebIdentity", false),
            ("Action=GetSessionToken", false),
            ("Action=NoSuchThing", false),
            ("%41ction=AssumeRole", false),
            ("Action=GetCallerIdentity&Action=AssumeRole", false),
            ("action=AssumeRole&Action=GetCallerIdentity", false),
            ("Action=Get%43allerIdentity", true),
            ("Version=2011-06-15", false),
            ("", false),
        ] {
            assert_eq!(passes(&calls, "sts", &head, body), fine, "{body}");
        }
        let twice = post("https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity", &[FORM]);
        assert!(!passes(&calls, "sts", &twice, "Action=AssumeRole"));
        assert!(passes(&calls, "sts", &twice, ""));
        let json =
            post("https://sts.us-east-1.amazonaws.com/", &[("content-type", "application/json")]);
        assert!(!passes(&calls, "sts", &json, "Action=GetCallerIdentity"));
        // A header that a service does not read must not stand in for the body that it does.
        let decoy = post("https://iam.amazonaws.com/", &[FORM, ("x-amz-target", "X.ListRoles")]);
        assert!(!passes(&calls, "iam", &decoy, "Action=CreateAccessKey"));
    }

    #[test]
    fn no_form_names_another_operation_to_who_reads_it_otherwise() {
        let calls = Calls::default();
        let url = "https://sts.us-east-1.amazonaws.com/";
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let wide = "%00A%00c%00t%00i%00o%00n=%00A%00s%00s%00u%00m%00e%00R%00o%00l%00e";
        for (media, fine) in [
            ("application/x-www-form-urlencoded", true),
            ("application/x-www-form-urlencoded; charset=utf-8", true),
            ("application/x-www-form-urlencoded;charset=\"UTF-8\"", true),
            ("application/x-www-form-urlencoded; charset=utf-16be", false),
            ("application/x-www-form-urlencoded; charset=ibm037", false),
            ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-16", false),
        ] {
            let head = post(url, &[("content-type", media)]);
            assert_eq!(passes(&calls, "sts", &head, body), fine, "{media}");
            assert!(!passes(&calls, "sts", &head, &format!("{wide}&Version=1")), "{media}");
        }
        let twice = post(url, &[FORM, ("content-type", "text/plain")]);
        assert!(!passes(&calls, "sts", &twice, body));
        let head = post(url, &[FORM]);
        for body in [
            "Action=GetCallerIdentity&x=1;Action=AssumeRole",
            "Action=GetCallerIdentity;x=1;%41ction=AssumeRole",
            "x=1;action=AssumeRole&Action=GetCallerIdentity",
        ] {
            assert!(!passes(&calls, "sts", &head, body), "{body}");
        }
        let query = post(&format!("{url}?x=1;Action=AssumeRole"), &[FORM]);
        assert!(!passes(&calls, "sts", &query, body));
    }

    #[test]
    fn no_path_hides_its_operation_behind_others() {
        let calls = Calls::default();
        let at = "https://api.ecr.us-east-1.amazonaws.com/service/Ecr";
        for path in [
            "operation/GetAuthorizationToken/",
            "operation//GetAuthorizationToken",
            "operation/./GetAuthorizationToken",
            "operation/x/../GetAuthorizationToken",
            "Operation/GetAuthorizationToken",
            "operation%2FGetAuthorizationToken",
            "operation/GetAuthorizationToken;x=1",
        ] {
            assert!(!passes(&calls, "ecr", &post(&format!("{at}/{path}"), &[]), ""), "{path}");
        }
        let fine = post(&format!("{at}/operation/DescribeRepositories"), &[]);
        assert!(passes(&calls, "ecr", &fine, ""));
    }

    #[test]
    fn targets_name_their_operation_in_the_head() {
        let target = |text: &str| {
            post("https://api.ecr.us-east-1.amazonaws.com/", &[("x-amz-target", text)])
        };
        let calls = Calls::default();
        let ecr = "AmazonEC2ContainerRegistry_V20150921";
        assert!(!passes(&calls, "ecr", &target(&format!("{ecr}.GetAuthorizationToken")), ""));
        assert!(!passes(&calls, "ecr", &target(&format!("{ecr}.getauthorizationtoken ")), ""));
        assert!(passes(&calls, "ecr", &target(&format!("{ecr}.DescribeRepositories")), "{}"));
        assert!(!passes(
            &calls,
            "ecr",
            &post("https://api.ecr.us-east-1.amazonaws.com/", &[]),
            "{}"
        ));
        let rpc = post(
            "https://api.ecr.us-east-1.amazonaws.com/service/Ecr/operation/GetAuthorizationToken",
            &[],
        );
        assert!(!passes(&calls, "ecr", &rpc, ""));
        assert!(passes(&calls, "dynamodb", &target("DynamoDB_20120810.GetItem"), "{}"));
        let rest = "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations";
        assert!(passes(&calls, "sagemaker", &post(rest, &[]), "{}"));
    }

    #[test]
    fn lasting_access_can_be_allowed_and_credentials_cannot() {
        let head = post("https://iam.amazonaws.com/", &[FORM]);
        assert!(!passes(&Calls::default(), "iam", &head, "Action=CreateRole"));
        assert!(passes(&Calls::default(), "iam", &head, "Action=ListRoles"));
        let calls = Calls::allowing(vec!["iam:CreateRole".into()]).unwrap();
        assert!(passes(&calls, "iam", &head, "Action=CreateRole"));
        assert!(!passes(&calls, "iam", &head, "Action=CreateUser"));
        for call in ["iam:CreateAccessKey", "sts:AssumeRole", "iam:ListRoles", "iam", ""] {
            assert!(Calls::allowing(vec![call.into()]).is_err(), "{call}");
        }
    }

    #[test]
    fn services_that_only_issue_are_refused_as_a_whole() {
        let token = post("https://oidc.us-east-1.amazonaws.com/token?aws_iam=t", &[]);
        assert!(!passes(&Calls::default(), "sso-oauth", &token, "{}"));
    }

    #[test]
    fn sessions_of_directory_buckets_are_keys() {
        let bucket = "https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/";
        let calls = Calls::default();
        assert!(!passes(&calls, "s3express", &post(&format!("{bucket}?session"), &[]), ""));
        assert!(passes(&calls, "s3express", &post(&format!("{bucket}?list-type=2"), &[]), ""));
    }
}
