// Does what programs do with AWS, on the SDK for Go; prints one line for each thing. One argument may
// say that it does less: "who" tells who it is, "own" the same with an HTTP client that is not the
// SDK's, and "wait" waits for another session.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

const key = "2026 ä+(1)!'*~&=/./x//y.txt"

var (
	ctx    = context.Background()
	bucket = aws.String("reports")
	body   = bytes.Repeat([]byte("all is well\n"), 1000)
)

// requests is how many went over the wire, repeated ones included.
var requests int

func count(stack *middleware.Stack) error {
	step := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error,
	) {
		requests++
		return next.HandleFinalize(ctx, in)
	}
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Count", step), middleware.After)
}

func main() {
	mode := strings.Join(os.Args[1:], " ")
	settings := []func(*config.LoadOptions) error{
		config.WithAPIOptions([]func(*middleware.Stack) error{count}),
	}
	if mode == "own" {
		settings = append(settings, config.WithHTTPClient(http.DefaultClient))
	}
	options, err := config.LoadDefaultConfig(ctx, settings...)
	must(err)
	callers := sts.NewFromConfig(options)
	if mode == "wait" {
		waitForAnotherSession(callers)
		return
	}
	me, err := callers.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	must(err)
	fmt.Println("me", *me.Arn)
	if mode != "" {
		return
	}

	objects := s3.NewFromConfig(options)
	useObjects(objects)
	usePaths(s3.NewFromConfig(options, func(o *s3.Options) { o.UsePathStyle = true }))
	usePresigned(objects)
	items := dynamodb.NewFromConfig(options)
	name := aws.String("t")
	id := map[string]table.AttributeValue{"id": &table.AttributeValueMemberS{Value: "7"}}
	item := map[string]table.AttributeValue{
		"id":   id["id"],
		"name": &table.AttributeValueMemberS{Value: "Grüße"},
	}
	_, err = items.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item})
	must(err)
	asked := &dynamodb.GetItemInput{TableName: name, Key: id}
	got, err := items.GetItem(ctx, asked)
	must(err)
	fmt.Println("item", got.Item["name"].(*table.AttributeValueMemberS).Value)

	refused("assume", func() error {
		_, err := callers.AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn:         aws.String("arn:aws:iam::123456789012:role/other"),
			RoleSessionName: aws.String("session"),
		})
		return err
	})
	refused("token", func() error {
		_, err := callers.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
		return err
	})
	refused("bucket", func() error {
		_, err := objects.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("other"), Key: aws.String("k")})
		return err
	})
	refused("head", func() error {
		_, err := objects.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("other"), Key: aws.String("k")})
		return err
	})
	refused("region", func() error {
		elsewhere := func(o *dynamodb.Options) { o.Region = "us-east-1" }
		_, err := items.GetItem(ctx, asked, elsewhere)
		return err
	})
	refused("service", func() error {
		_, err := sqs.NewFromConfig(options).ListQueues(ctx, &sqs.ListQueuesInput{})
		return err
	})
}

// useObjects puts, gets, lists and uploads in parts, with the bucket in the host's name.
func useObjects(objects *s3.Client) {
	_, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(key), Body: bytes.NewReader(body)})
	must(err)
	fmt.Println("get", bytes.Equal(get(objects, key, ""), body))
	fmt.Println("range", bytes.Equal(get(objects, key, "bytes=5-104"), body[5:105]))
	var keys []string
	for n := 0; n < 5; n++ {
		name := fmt.Sprintf("pages/ä+%d", n)
		_, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &name, Body: strings.NewReader(name)})
		must(err)
	}
	asked := &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("pages/"), MaxKeys: 2}
	pages := 0
	for found := s3.NewListObjectsV2Paginator(objects, asked); found.HasMorePages(); pages++ {
		page, err := found.NextPage(ctx)
		must(err)
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	fmt.Println("pages", pages, strings.Join(keys, " "))

	// A pipe cannot be read twice, nor does it say how long it is.
	parts := bytes.Repeat([]byte("in many parts\n"), 1_000_000)
	from, to := io.Pipe()
	go func() {
		_, err := to.Write(parts)
		to.CloseWithError(err)
	}()
	_, err = manager.NewUploader(objects).Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("parts"), Body: from})
	must(err)
	fmt.Println("parts", bytes.Equal(get(objects, "parts", ""), parts))

	// A checksum after the body instead of a digest before it.
	checked := &s3.PutObjectInput{
		Bucket:            bucket,
		Key:               aws.String("checked"),
		Body:              io.LimitReader(bytes.NewReader(body), int64(len(body))),
		ContentLength:     int64(len(body)),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	}
	_, err = objects.PutObject(ctx, checked)
	must(err)
	fmt.Println("checked", bytes.Equal(get(objects, "checked", ""), body))
}

// usePaths names the bucket in the path.
func usePaths(objects *s3.Client) {
	name := aws.String("by path ä")
	_, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: name, Body: bytes.NewReader(body)})
	must(err)
	fmt.Println("path", bytes.Equal(get(objects, *name, ""), body))
	_, err = objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: name})
	must(err)
	_, err = objects.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: name})
	fmt.Println("deleted", err != nil && strings.Contains(err.Error(), "StatusCode: 404"))
}

// usePresigned makes URLs, and lets a plain client use them.
func usePresigned(objects *s3.Client) {
	name := aws.String("presigned ä+")
	presigner := s3.NewPresignClient(objects)
	put, err := presigner.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: name})
	must(err)
	request, err := http.NewRequest(put.Method, put.URL, bytes.NewReader(body))
	must(err)
	done, err := http.DefaultClient.Do(request)
	must(err)
	got, err := presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: name})
	must(err)
	answer, err := http.Get(got.URL)
	must(err)
	content, err := io.ReadAll(answer.Body)
	must(err)
	fmt.Println("presigned", done.StatusCode, answer.StatusCode, bytes.Equal(content, body))
}

// waitForAnotherSession asks who it is until that is the second session.
func waitForAnotherSession(callers *sts.Client) {
	waiting, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	first, err := callers.GetCallerIdentity(waiting, &sts.GetCallerIdentityInput{})
	must(err)
	fmt.Println("first", *first.UserId)
	for {
		me, err := callers.GetCallerIdentity(waiting, &sts.GetCallerIdentityInput{})
		must(err)
		if *me.UserId != *first.UserId {
			fmt.Println("then", *me.UserId)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func get(objects *s3.Client, name, part string) []byte {
	asked := &s3.GetObjectInput{Bucket: bucket, Key: &name}
	if part != "" {
		asked.Range = &part
	}
	got, err := objects.GetObject(ctx, asked)
	must(err)
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	must(err)
	return content
}

// refused tells of an error, and whether it came at once or was asked for again and again.
func refused(what string, call func() error) {
	before := requests
	err := call()
	asked := fmt.Sprint(requests-before, " times")
	if requests-before == 1 {
		asked = "once"
	}
	if err == nil {
		fmt.Println("allowed", what)
	} else {
		fmt.Printf("refused %s, asked %s: %v\n", what, asked, err)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
