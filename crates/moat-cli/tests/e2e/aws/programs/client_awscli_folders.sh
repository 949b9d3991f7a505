# Does what people do with folders of objects; prints one line for each thing. $1 is the AWS command.
set -e
aws=$1
ask() { "$aws" "$@"; }
refused() {
  what=$1
  shift
  if said=$(ask "$@" 2>&1); then echo "allowed $what"; else echo "refused $what" $said; fi
}

yes 'in many parts' | head -c 12000 | ask s3 cp --quiet - s3://reports/whole
ask s3api get-object --bucket reports --key whole --range bytes=3-12 down > said
echo "range $(cat down), $(grep -c 'bytes 3-12/12000' said)"

mkdir -p site/deep
for n in 1 2 3 4; do echo "page $n" > "site/deep/ä+$n"; done
# S3 says that its objects are newer.
touch -d 2026-01-01 site/deep/*
echo "sync $(ask s3 sync site s3://reports/site | grep -c upload:)$(ask s3 sync site s3://reports/site)"
found=$(ask s3api list-objects-v2 --bucket reports --prefix site/ --page-size 2 --query 'Contents[].Key' --output text)
echo "pages" $found
rm site/deep/*1
ask s3 sync --quiet --delete site s3://reports/site
ask s3 sync --quiet s3://reports/site back
echo "back $(ls back/deep | wc -l) $(cat back/deep/*4)"
ask s3 mv --quiet 's3://reports/site/deep/ä+4' s3://reports/moved
ask s3 cp --quiet s3://reports/moved down
echo "moved $(cat down)$(ask s3 ls 's3://reports/site/deep/ä+4')"

refused copy s3api copy-object --copy-source other/k --bucket reports --key k
refused machines ec2 describe-instances
refused head s3 cp s3://other/k down
