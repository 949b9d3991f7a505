# Does what version 2 of the AWS command does beyond the other; prints one line for each thing. $1 is
# the command.
set -e
aws=$1
ask() { "$aws" "$@"; }
same() { if cmp -s "$1" "$2"; then echo True; else echo False; fi; }
refused() {
  what=$1
  shift
  if said=$(ask "$@" 2>&1); then echo "allowed $what"; else echo "refused $what" $said; fi
}
yes 'all is well' | head -c 12000 > body

echo "version $(ask --version | cut -c 1-10)"
echo "configured $(ask configure list | grep -c ' env ') $(ask configure get region)"
echo "exported $(ask configure export-credentials | grep -c "$AWS_ACCESS_KEY_ID")"

# The terminal is one of its own; what would be shown page by page there has a mark.
who="$aws sts get-caller-identity --query Account --output text"
shown() { script -qec "$who" /dev/null | tr -d '\r'; }
export PAGER='sed s/^/paged:/'
echo "shown $(shown) $(unset AWS_PAGER && shown)"

for algorithm in CRC32 CRC32C SHA1 SHA256; do
  ask s3api put-object --bucket reports --key checked --body body --checksum-algorithm $algorithm > said
  ask s3api get-object --bucket reports --key checked --checksum-mode ENABLED down > said
  echo "checked $algorithm $(same body down)"
done

ask configure set default.s3.addressing_style path
ask configure set default.s3.payload_signing_enabled true
ask s3 cp --quiet body s3://reports/path
ask s3 cp --quiet s3://reports/path down
echo "path $(same body down)"

# The run's variables go before what is written here.
printf 'AKIAOTHEROTHEROTHERO\nmade-up\nus-east-1\ntext\n' | ask configure > said
echo "still $(ask sts get-caller-identity --query Arn --output text) $(ask configure list | grep -c ' env ')"

refused none sso login
printf '[profile own]\nsso_start_url = https://example.com/start\nsso_region = eu-central-1\n' > own
printf 'sso_account_id = 123456789012\nsso_role_name = own\nregion = eu-central-1\n' >> own
export AWS_CONFIG_FILE=$PWD/own
refused login --profile own sso login --no-browser
refused registry ecr get-login-password
refused user iam create-user --user-name other
refused key iam create-access-key
