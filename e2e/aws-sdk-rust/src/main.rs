//! Does what programs do with AWS, on the SDK for Rust; prints one line for each thing.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

const BUCKET: &str = "reports";
const KEY: &str = "2026 ä+(1)!'*~&=/x//y.txt";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        let sleep = components.and_then(|it| it.sleep_impl());
        connector.set_sleep_impl(sleep);
        connector.tls_provider(tls.clone()).build()
    });
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let (sts, s3) = (aws_sdk_sts::Client::new(&config), aws_sdk_s3::Client::new(&config));
    let me = sts.get_caller_identity().send().await?;
    println!("me {}", me.arn().unwrap_or_default());

    let body = b"all is well\n".repeat(1000);
    let put = s3.put_object().bucket(BUCKET).key(KEY);
    put.body(ByteStream::from(body.clone())).send().await?;
    println!("get {}", get(&s3, KEY).await? == body);
    let listed = s3.list_objects_v2().bucket(BUCKET).prefix("2026 ä+").send().await?;
    let keys: Vec<_> = listed.contents().iter().filter_map(|found| found.key()).collect();
    println!("list {}", keys == [KEY]);

    let parts = [vec![1; 5 << 20], vec![2; 1 << 20]];
    let begun = s3.create_multipart_upload().bucket(BUCKET).key("parts").send().await?;
    let id = begun.upload_id().unwrap_or_default();
    let mut done = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(&parts) {
        let upload = s3.upload_part().bucket(BUCKET).key("parts").upload_id(id);
        let upload = upload.part_number(number).body(ByteStream::from(part.clone()));
        let tag = upload.send().await?.e_tag;
        done = done.parts(CompletedPart::builder().part_number(number).set_e_tag(tag).build());
    }
    let complete = s3.complete_multipart_upload().bucket(BUCKET).key("parts").upload_id(id);
    complete.multipart_upload(done.build()).send().await?;
    println!("parts {}", get(&s3, "parts").await? == parts.concat());

    let hour = PresigningConfig::expires_in(Duration::from_secs(3600))?;
    let url = s3.get_object().bucket(BUCKET).key(KEY).presigned(hour).await?;
    let curl = Command::new("curl").args(["-sS", "--path-as-is", url.uri()]).output()?;
    println!("presigned {}", curl.stdout == body);

    let role = "arn:aws:iam::123456789012:role/other";
    let assume = sts.assume_role().role_arn(role).role_session_name("session");
    refused("assume", assume.send().await);
    refused("token", sts.get_session_token().send().await);
    refused("bucket", s3.get_object().bucket("other").key(KEY).send().await);
    Ok(())
}

async fn get(s3: &aws_sdk_s3::Client, key: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let got = s3.get_object().bucket(BUCKET).key(key).send().await?;
    Ok(got.body.collect().await?.to_vec())
}

fn refused<T, E: Error>(what: &str, outcome: Result<T, E>) {
    match outcome {
        Ok(_) => println!("allowed {what}"),
        Err(error) => println!("refused {what} {}", DisplayErrorContext(error)),
    }
}
