//! What passes through a host with a credential keeps its form.

use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use moat_proxy::Mode;

use crate::grants::*;
use crate::support::client::{Http, full, whole};
use crate::support::origin::Origin;
use crate::support::{World, soon};

async fn mirror(world: &World, expected: String) -> Origin {
    Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], move |request| {
        let expected = expected.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let mut answer = crate::support::origin::text(body);
            let status = head.headers.get("x-status").map_or("200", |it| it.to_str().unwrap());
            *answer.status_mut() = status.parse().unwrap();
            if head.headers.get(AUTHORIZATION).is_none_or(|it| it != expected.as_str()) {
                *answer.status_mut() = 401.try_into().unwrap();
            }
            let method = head.method.as_str().parse().unwrap();
            answer.headers_mut().insert("x-method", method);
            for value in ["a=1; Path=/", "b=2; HttpOnly"] {
                answer.headers_mut().append("set-cookie", value.parse().unwrap());
            }
            answer.headers_mut().insert("x-request-cost", "7".parse().unwrap());
            answer
        }
    })
    .await
}

#[tokio::test]
async fn methods_statuses_headers_and_bodies_pass_on_one_tunnel() {
    let (grants, grant) = bearer();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Strict)).await;
        let origin = mirror(&world, grant.expected_bearer()).await;
        let mut client = world.client(VENDOR, version).await;
        let mut count = 0;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"] {
            for status in [200, 201, 202, 206, 301, 400, 404, 418, 429, 500, 503] {
                let request = client.request(method, "/").header("x-status", status);
                let body = if method == "GET" { "" } else { "some \0 bytes" };
                let answer = soon(client.send(request.body(full(body)).unwrap())).await.unwrap();
                let answer = whole(answer).await;
                assert_eq!(answer.status(), status, "{method}");
                assert_eq!(answer.body(), body);
                assert_eq!(answer.headers()["x-method"], method);
                assert_eq!(answer.headers()["x-request-cost"], "7");
                let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
                assert_eq!(cookies, ["a=1; Path=/", "b=2; HttpOnly"]);
                count += 1;
            }
        }
        let large: Vec<u8> =
            (0..3_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        assert_eq!(client.post("/", large.clone()).await.body(), &large);
        assert_eq!((origin.requests(), origin.connections()), (count + 1, 1));
    }
}
