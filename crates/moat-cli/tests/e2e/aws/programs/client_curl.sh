# Signs with curl: S3 and a service whose paths are encoded twice, plain and encoded.
set -e
ask() {
  service=$1
  shift
  curl -sS --aws-sigv4 "aws:amz:eu-central-1:$service" \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -w ' %{http_code}\n' "$@"
}
bucket=https://reports.s3.eu-central-1.amazonaws.com
echo "put$(ask s3 -X PUT -d 'all is well' "$bucket/plain.txt")"
echo "get $(ask s3 "$bucket/plain.txt")"
echo "encoded$(ask s3 -X PUT -d 'all is well' "$bucket/a%20b/%C3%A4.txt")"
echo "get encoded $(ask s3 "$bucket/a%20b/%C3%A4.txt")"
echo "list $(ask s3 "$bucket/?list-type=2&prefix=a%20b" | grep -c 'a b/ä.txt')"
echo "plus$(ask s3 -X PUT -d 'all is well' "$bucket/a+b(1).txt")"
item='{"Key": {"id": {"S": "7"}}, "Item": {"id": {"S": "7"}}, "TableName": "t"}'
table=https://dynamodb.eu-central-1.amazonaws.com/
echo "item $(ask dynamodb -H 'x-amz-target: DynamoDB_20120810.PutItem' -d "$item" "$table")"
model=https://bedrock-runtime.eu-central-1.amazonaws.com/model
said='{"prompt": "one"}'
echo "events $(ask bedrock -d "$said" "$model/vendor.model/invoke-with-response-stream" | grep -ac chunk)"
echo "twice $(ask bedrock -d "$said" "$model/vendor.model-v1%3A0/invoke-with-response-stream" | grep -ac chunk)"
