//! The model by WebSocket (RFC 6455): text messages in one frame each, without extensions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http::header::{CONNECTION, UPGRADE};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};

use super::model;
use crate::vendor::{Reply, field, text};

/// What makes the answer to a key (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Switches, and answers each message for as long as the connection lives.
pub(super) fn accept(request: Request<Incoming>) -> Reply {
    let key = field(&request, "sec-websocket-key");
    let accepted = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            // Whoever hangs up has had enough.
            _ = converse(TokioIo::new(upgraded)).await;
        }
    });
    let mut switched = text(101, "");
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        ("sec-websocket-accept".parse().unwrap(), &*accepted),
    ] {
        switched.headers_mut().insert(name, value.parse().unwrap());
    }
    switched
}

async fn converse(mut stream: TokioIo<Upgraded>) -> io::Result<()> {
    // What a message that goes on from another leaves out.
    let mut earlier = Vec::new();
    let mut message = Vec::new();
    loop {
        let (is_last, opcode, payload) = read(&mut stream).await?;
        match opcode {
            CLOSE => return write(&mut stream, CLOSE, &[]).await,
            PING => write(&mut stream, PONG, &payload).await?,
            PONG => {}
            _ => {
                message.extend(payload);
                if is_last {
                    let mut asked: Value = serde_json::from_slice(&message)?;
                    message.clear();
                    if asked["previous_response_id"].is_null() {
                        earlier.clear();
                    }
                    earlier.extend(asked["input"].as_array().into_iter().flatten().cloned());
                    asked["input"] = json!(earlier);
                    let events = model::events(&asked);
                    for event in &events {
                        write(&mut stream, TEXT, event.to_string().as_bytes()).await?;
                        if event["type"] == "response.output_item.done" {
                            earlier.push(event["item"].clone());
                        }
                    }
                }
            }
        }
    }
}

/// Reads a frame of a client, which is masked (section 5.3).
async fn read(stream: &mut TokioIo<Upgraded>) -> io::Result<(bool, u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let length = match stream.read_u8().await? & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        length => u64::from(length),
    };
    let mask = stream.read_u32().await?.to_be_bytes();
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first & 0x80 != 0, first & 0x0f, payload))
}

async fn write(stream: &mut TokioIo<Upgraded>, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | opcode, 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    if let Ok(short) = u8::try_from(payload.len())
        && short < 126
    {
        frame = vec![0x80 | opcode, short];
    }
    frame.extend(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}
