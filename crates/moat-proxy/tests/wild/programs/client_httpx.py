"""Asks a vendor with httpx: URL CREDENTIAL VERSION."""

import hashlib
import sys

import httpx

base, credential, version = sys.argv[1:]
headers = {"Authorization": credential} if credential else {}
client = httpx.Client(http1=version == "1", http2=version == "2", headers=headers, timeout=30)

answer = client.get(base + "/me")
assert answer.http_version == ("HTTP/2" if version == "2" else "HTTP/1.1")
print("me", answer.status_code, answer.headers.get("x-moat-blocked", "-"))
if answer.status_code != 200:
    sys.exit()

sent = (b"x" * 1000 for _ in range(300))
print("upload", client.post(base + "/upload", content=sent).text)

seen = []
with client.stream("GET", base + "/events") as answer:
    for line in answer.iter_lines():
        if line:
            seen.append(line)
            client.get(base + "/next")
print("events", *seen)

answer = client.get(base + "/blob", headers={"Range": "bytes=1000-200999"})
print("range", answer.status_code, hashlib.sha256(answer.content).hexdigest())
