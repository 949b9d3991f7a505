"""Uploads in chunks that are signed one by one, as the SDK for Java does: KIND CHUNKS [BROKEN].

KIND is how the payload is signed, BROKEN the number of a chunk whose signature is wrong.
"""

import base64
import hashlib
import os
import sys
import zlib

import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

URL = "https://reports.s3.eu-central-1.amazonaws.com/in%20chunks"
CHUNK = bytes(n % 251 for n in range(128 << 10))

kind, count = sys.argv[1], int(sys.argv[2])
broken = int(sys.argv[3]) if len(sys.argv) > 3 else None
has_trailer = kind.endswith("-TRAILER")


class Auth(S3SigV4Auth):
    def payload(self, request):
        return kind

    def _inject_signature_to_request(self, request, signature):
        self.last = signature
        return super()._inject_signature_to_request(request, signature)

    def next(self, request, what, *rest):
        lines = [f"AWS4-HMAC-SHA256-{what}", request.context["timestamp"]]
        text = "\n".join([*lines, self.credential_scope(request), self.last, *rest])
        self.last = self.signature(text, request)
        return self.last


def sha(content):
    return hashlib.sha256(content).hexdigest()


class Body:
    """The encoded body, of a length that is known."""

    def __init__(self, pieces, length):
        self.pieces, self.length = pieces, length

    def __len__(self):
        return self.length

    def __iter__(self):
        return self.pieces

    def read(self, _):
        return next(self.pieces, b"")


def pieces():
    crc = 0
    for number, content in enumerate([CHUNK] * count + [b""]):
        signature = auth.next(request, "PAYLOAD", sha(b""), sha(content))
        if number == broken:
            signature = signature[::-1]
        crc = zlib.crc32(content, crc)
        head = b"%x;chunk-signature=%s\r\n" % (len(content), signature.encode())
        yield head + content + (b"\r\n" if content or not has_trailer else b"")
    if has_trailer:
        line = b"x-amz-checksum-crc32:" + base64.b64encode(crc.to_bytes(4, "big"))
        signature = auth.next(request, "TRAILER", sha(line + b"\n"))
        yield line + b"\r\nx-amz-trailer-signature:" + signature.encode() + b"\r\n\r\n"


keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
auth = Auth(keys, "s3", "eu-central-1")
request = AWSRequest("PUT", URL, headers={
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": str(count * len(CHUNK)),
})
if has_trailer:
    request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
auth.add_auth(request)
framing = len(";chunk-signature=") + 64 + 2
length = count * (len("%x" % len(CHUNK)) + framing + len(CHUNK) + 2) + len("0") + framing
length += len("x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:\r\n\r\n") + 64 if has_trailer else 2
answer = requests.put(URL, data=Body(pieces(), length), headers=dict(request.headers), timeout=60)
print(answer.status_code, sha(CHUNK * count))
