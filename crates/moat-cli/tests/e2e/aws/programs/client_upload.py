"""Uploads a body of so many MiB in one request with boto3, and prints its hash: MIB."""

import hashlib
import io
import sys

import boto3

PIECE = bytes(n % 251 for n in range(1 << 20))


class Pieces(io.RawIOBase):
    """A body that is made while it is read."""

    def __init__(self, length):
        self.length, self.at = length, 0

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.length}[whence]
        return self.at

    def read(self, size=-1):
        begin = self.at % len(PIECE)
        left = self.length - self.at
        piece = PIECE[begin : begin + min(left if size < 0 else size, left)]
        self.at += len(piece)
        return piece


count = int(sys.argv[1])
sha = hashlib.sha256()
for _ in range(count):
    sha.update(PIECE)
boto3.client("s3").put_object(Bucket="reports", Key="big", Body=Pieces(count * len(PIECE)))
print(sha.hexdigest())
