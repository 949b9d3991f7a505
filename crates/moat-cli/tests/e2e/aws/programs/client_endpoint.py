"""Uses the keys that the endpoint hands out, and asks it without its token."""

import os

# A program that a configuration names to get keys would go before the endpoint.
os.environ["AWS_CONFIG_FILE"] = os.devnull

import boto3
import requests

session = boto3.Session()
print("keys from", session.get_credentials().method)
print("me", session.client("sts").get_caller_identity()["Arn"])
s3 = session.client("s3")
s3.put_object(Bucket="reports", Key="k", Body=b"all is well")
print("get", s3.get_object(Bucket="reports", Key="k")["Body"].read().decode())

url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
direct = {"http": "", "https": ""}
for token in ["", "made up"]:
    answer = requests.get(url, headers={"Authorization": token}, proxies=direct, timeout=60)
    print("without the token", answer.status_code)
