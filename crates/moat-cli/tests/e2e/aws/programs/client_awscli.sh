# Does what people do with the AWS command; prints one line for each thing. $1 is the command.
set -e
aws=$1
ask() { "$aws" "$@"; }
same() { if cmp -s "$1" "$2"; then echo True; else echo False; fi; }
refused() {
  what=$1
  shift
  if said=$(ask "$@" 2>&1); then echo "allowed $what"; else echo "refused $what" $said; fi
}
body='body ä+(1).txt'
yes 'all is well' | head -c 12000 > "$body"
yes 'in many parts' | head -c 20000000 > parts

echo "me $(ask sts get-caller-identity --query Arn --output text)"
ask s3 cp --quiet "$body" "s3://reports/2026 ä/"
ask s3 cp --quiet "s3://reports/2026 ä/$body" down
echo "get $(same "$body" down)"
echo "list $(ask s3 ls 's3://reports/2026 ä/' | cut -c 32-)"
ask s3 cp --quiet parts s3://reports/parts
ask s3 cp --quiet s3://reports/parts down
echo "parts $(same parts down)"
curl -sS -o down "$(ask s3 presign "s3://reports/2026 ä/$body")"
echo "presigned $(same "$body" down)"
yes 'of unknown length' | head -c 9000000 | ask s3 cp --quiet - s3://reports/stream
ask s3 cp --quiet s3://reports/stream - | cksum | sed 's/^/stream /'

ask dynamodb put-item --table-name table --item '{"id": {"S": "7"}, "name": {"S": "Grüße"}}'
echo "item $(ask dynamodb get-item --table-name table --key '{"id": {"S": "7"}}' --query Item.name.S --output text)"
refused assume sts assume-role --role-arn arn:aws:iam::123456789012:role/other --role-session-name session
refused token sts get-session-token
refused bucket s3api get-object --bucket other --key k down
refused region --region us-east-1 dynamodb get-item --table-name table --key '{"id": {"S": "7"}}'
refused service sqs list-queues
