//! nginx as a reverse proxy: TLS on both legs, the origin's connections kept.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use super::Programs;
use crate::Result;
use crate::process::{Server, command, free_port};
use crate::world::{HOST, World};

pub(super) fn start(programs: &Programs, world: &World, origin: SocketAddr) -> Result<Server> {
    let program = programs.nginx.as_deref().ok_or("nginx is not installed")?;
    let port = free_port()?;
    let file = format!("nginx-{port}.conf");
    world.write(&file, &configuration(world, origin, port, takes_http2_directive(program)?))?;
    let mut nginx = command(program);
    nginx.arg("-e").arg(world.path("nginx.log")).arg("-p").arg(world.directory());
    nginx.arg("-c").arg(world.path(&file)).stderr(Stdio::null());
    Server::other(nginx, port)
}

/// Whether this nginx has `http2 on` (since 1.25.1) instead of a parameter of `listen`.
fn takes_http2_directive(program: &Path) -> Result<bool> {
    let output = command(program).arg("-v").output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.trim().rsplit('/').next().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = [numbers.next(), numbers.next(), numbers.next()].map(Option::unwrap_or_default);
    Ok(version >= [1, 25, 1])
}

fn configuration(world: &World, origin: SocketAddr, port: u16, directive: bool) -> String {
    let directory = world.directory().display();
    let (parameter, http2) = if directive { ("", "http2 on;") } else { (" http2", "") };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/nginx-{port}-{name};\n"))
        .concat();
    format!(
        "daemon off;
pid {directory}/nginx-{port}.pid;
worker_processes auto;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
{temporary}    access_log off;
    upstream origin {{
        server {origin};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl{parameter} backlog=4096;
        {http2}
        server_name {HOST};
        ssl_certificate {directory}/origin.pem;
        ssl_certificate_key {directory}/origin.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        keepalive_requests 1000000000;
        client_max_body_size 0;
        location / {{
            proxy_pass https://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host {HOST};
            proxy_ssl_server_name on;
            proxy_ssl_name {HOST};
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {directory}/origin-ca.pem;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }}
        location /events {{
            proxy_pass https://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host {HOST};
            proxy_ssl_server_name on;
            proxy_ssl_name {HOST};
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {directory}/origin-ca.pem;
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
