"""Asks a vendor with requests: URL CREDENTIAL."""

import hashlib
import sys

import requests

base, credential = sys.argv[1:]
session = requests.Session()
session.headers.update({"Authorization": credential} if credential else {})

answer = session.get(base + "/me")
print("me", answer.status_code, answer.headers.get("x-moat-blocked", "-"))
if answer.status_code != 200:
    sys.exit()

sent = (b"x" * 1000 for _ in range(300))
print("upload", session.post(base + "/upload", data=sent).text)

seen = []
with session.get(base + "/events", stream=True) as answer:
    for line in answer.iter_lines(chunk_size=1):
        if line:
            seen.append(line.decode())
            session.get(base + "/next")
print("events", *seen)

answer = session.get(base + "/blob", headers={"Range": "bytes=1000-200999"})
print("range", answer.status_code, hashlib.sha256(answer.content).hexdigest())
