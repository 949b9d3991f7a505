"""Computes signatures with botocore: one question in JSON a line, one list of signatures a line."""

import json
import sys

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# What a client has signed counts, whatever botocore itself would leave out.
auth.SIGNED_HEADERS_BLACKLIST = []


def of_class(base, digest):
    """Returns a signer that takes the digest of the body as it is told."""

    class Signer(base):
        def payload(self, request):
            return digest

    return Signer


for line in sys.stdin:
    asked = json.loads(line)
    base = auth.S3SigV4Auth if asked["service"] == "s3" else auth.SigV4Auth
    keys = Credentials("unused", asked["secret"])
    signer = of_class(base, asked["digest"])(keys, asked["service"], asked["region"])
    request = AWSRequest(method=asked["method"], url=asked["url"])
    for name, value in asked["headers"]:
        request.headers.add_header(name, value)
    request.context["timestamp"] = asked["stamp"]
    head = signer.string_to_sign(request, signer.canonical_request(request))
    signed = [signer.signature(text, request) for text in [head, *asked["chunks"]]]
    print(json.dumps(signed), flush=True)
