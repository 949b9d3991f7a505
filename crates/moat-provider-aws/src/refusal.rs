//! Refusals in the form of AWS's own errors, which its programs show.
//!
//! Source: S3 API reference, "Error Responses"; Smithy, "AWS query protocol", "AWS EC2 query
//! protocol", "AWS JSON 1.0 protocol" and "AWS restJson1 protocol", each under "errors".

use http::header::CONTENT_TYPE;
use http::{HeaderValue, request};
use moat_provider_core::RefusalBody;
use serde_json::json;

const XML: HeaderValue = HeaderValue::from_static("application/xml");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How a service writes errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    S3,
    Ec2,
    Query,
    Json,
}

impl Form {
    fn of(service: &str, head: &request::Parts) -> Self {
        let media_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_form = media_type
            .is_some_and(|media_type| media_type.starts_with(b"application/x-www-form-urlencoded"));
        match service {
            "s3" | "s3express" | "s3-object-lambda" | "s3-outposts" => Self::S3,
            "ec2" => Self::Ec2,
            // These have XML without forms.
            "cloudfront" | "route53" => Self::Query,
            _ if is_form => Self::Query,
            _ => Self::Json,
        }
    }
}

/// Writes a refusal as the service's programs read it.
pub(crate) fn body(service: &str, head: &request::Parts, message: &str) -> RefusalBody {
    let text = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let inside = format!("<Code>AccessDenied</Code><Message>{text}</Message>");
    let (media_type, content) = match Form::of(service, head) {
        Form::S3 => (XML, format!("<Error>{inside}</Error>")),
        Form::Ec2 => {
            (XML, format!("<Response><Errors><Error>{inside}</Error></Errors></Response>"))
        }
        Form::Query => {
            let sender = "<Type>Sender</Type>";
            (XML, format!("<ErrorResponse><Error>{sender}{inside}</Error></ErrorResponse>"))
        }
        Form::Json => {
            let code = "AccessDeniedException";
            (JSON, json!({ "__type": code, "code": code, "message": message }).to_string())
        }
    };
    RefusalBody::new(media_type, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_own_errors() {
        let (mut head, ()) = http::Request::new(()).into_parts();
        let text = |service: &str, head: &request::Parts| {
            let body = body(service, head, "a <b>");
            String::from_utf8(body.content().to_vec()).unwrap()
        };
        let inside = "<Code>AccessDenied</Code><Message>a &lt;b&gt;</Message>";
        assert_eq!(text("s3", &head), format!("<Error>{inside}</Error>"));
        let json: serde_json::Value = serde_json::from_str(&text("bedrock", &head)).unwrap();
        assert_eq!(json["message"], "a <b>");
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
        let query =
            format!("<ErrorResponse><Error><Type>Sender</Type>{inside}</Error></ErrorResponse>");
        assert_eq!(text("sts", &head), query);
        let ec2 = format!("<Response><Errors><Error>{inside}</Error></Errors></Response>");
        assert_eq!(text("ec2", &head), ec2);
    }
}
