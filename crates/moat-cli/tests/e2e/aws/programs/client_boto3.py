"""Does what programs do with AWS, on boto3; prints one line for each thing."""

import hashlib
import io
import json

import boto3
import requests
from boto3.s3.transfer import TransferConfig

BUCKET = "reports"
KEY = "2026 ä+(1)!'*~&=/./x//y.txt"
BODY = b"all is well\n" * 1000
PARTS = bytes(n % 251 for n in range(251)) * 50_000


def sha(content):
    return hashlib.sha256(content).hexdigest()


def refused(what, call):
    try:
        call()
        print("allowed", what)
    except Exception as error:
        print("refused", what, str(error).replace("\n", " "))


sts = boto3.client("sts")
s3 = boto3.client("s3")
table = boto3.client("dynamodb")
print("me", sts.get_caller_identity()["Arn"])

s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
print("get", sha(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()) == sha(BODY))
listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="2026 ä+")
print("list", [found["Key"] for found in listed["Contents"]] == [KEY])
pieces = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(PARTS), BUCKET, "parts", Config=pieces)
print("parts", sha(s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read()) == sha(PARTS))
s3.put_object(Bucket=BUCKET, Key="plain ä.txt", Body=BODY)
url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "plain ä.txt"})
answer = requests.get(url, timeout=60)
print("presigned", answer.status_code, sha(answer.content) == sha(BODY))

table.put_item(TableName="t", Item={"id": {"S": "7"}, "name": {"S": "Grüße"}})
print("item", table.get_item(TableName="t", Key={"id": {"S": "7"}})["Item"]["name"]["S"])

bedrock = boto3.client("bedrock-runtime")
body = json.dumps({"prompt": "one two three"})
stream = bedrock.invoke_model_with_response_stream(modelId="vendor.model-v1:0", body=body)["body"]
print("events", *(json.loads(event["chunk"]["bytes"])["completion"] for event in stream))

role = {"RoleArn": "arn:aws:iam::123456789012:role/other", "RoleSessionName": "session"}
refused("assume", lambda: sts.assume_role(**role))
refused("token", lambda: sts.get_session_token())
refused("bucket", lambda: s3.get_object(Bucket="other", Key="k"))
elsewhere = boto3.client("dynamodb", region_name="us-east-1")
refused("region", lambda: elsewhere.get_item(TableName="t", Key={"id": {"S": "7"}}))
refused("service", lambda: boto3.client("sqs").list_queues())
