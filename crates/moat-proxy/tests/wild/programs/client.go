// Command client asks a vendor with net/http: URL CREDENTIAL VERSION [SOCKET].
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

var client http.Client

func ask(method, path, span string, body io.Reader) *http.Response {
	request, err := http.NewRequest(method, os.Args[1]+path, body)
	if err != nil {
		log.Fatal(err)
	}
	if os.Args[2] != "" {
		request.Header.Set("Authorization", os.Args[2])
	}
	if span != "" {
		request.Header.Set("Range", span)
	}
	answer, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func all(answer *http.Response) []byte {
	defer answer.Body.Close()
	bytes, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

// chunks hides the length of what it reads.
type chunks struct{ io.Reader }

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	major := 2
	if os.Args[3] == "1" {
		major = 1
		transport.ForceAttemptHTTP2 = false
		transport.TLSClientConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	if len(os.Args) > 4 {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"})
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", os.Args[4])
		}
	}
	client.Transport = transport

	answer := ask("GET", "/me", "", nil)
	blocked := answer.Header.Get("x-moat-blocked")
	if blocked == "" {
		blocked = "-"
	}
	if answer.ProtoMajor != major {
		log.Fatal(answer.Proto)
	}
	fmt.Println("me", answer.StatusCode, blocked)
	all(answer)
	if answer.StatusCode != 200 {
		return
	}

	sent := chunks{strings.NewReader(strings.Repeat("x", 300000))}
	fmt.Println("upload", string(all(ask("POST", "/upload", "", sent))))

	seen := []string{"events"}
	answer = ask("GET", "/events", "", nil)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if lines.Text() != "" {
			seen = append(seen, lines.Text())
			all(ask("GET", "/next", "", nil))
		}
	}
	fmt.Println(strings.Join(seen, " "))

	answer = ask("GET", "/blob", "bytes=1000-200999", nil)
	fmt.Printf("range %d %x\n", answer.StatusCode, sha256.Sum256(all(answer)))
}
