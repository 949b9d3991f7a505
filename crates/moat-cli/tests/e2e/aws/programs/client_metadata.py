"""Looks for keys of the machine that the container runs on, as SDKs do that have none."""

import os

for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"]:
    os.environ.pop(name)
for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]:
    os.environ[name] = os.devnull
os.environ["AWS_METADATA_SERVICE_TIMEOUT"] = "5"

import boto3

print("keys", boto3.Session().get_credentials())
