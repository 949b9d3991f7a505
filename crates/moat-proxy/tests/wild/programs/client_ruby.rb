# Asks a vendor with Net::HTTP: URL CREDENTIAL.

require "digest"
require "net/http"
require "uri"

BASE, CREDENTIAL = ARGV

def ask(path, kind: Net::HTTP::Get, headers: {}, body: nil)
  url = URI(BASE + path)
  Net::HTTP.start(url.host, url.port, use_ssl: true) do |http|
    request = kind.new(url, headers)
    request["Authorization"] = CREDENTIAL unless CREDENTIAL.empty?
    request.body_stream = body if body
    http.request(request) { |answer| yield answer if block_given? }
  end
end

me = ask("/me")
puts "me #{me.code} #{me["x-moat-blocked"] || "-"}"
exit unless me.code == "200"

# What a pipe gives has no length.
reader, writer = IO.pipe
sender = Thread.new do
  300.times { writer.write("x" * 1000) }
  writer.close
end
chunked = { "Transfer-Encoding" => "chunked", "Content-Type" => "application/octet-stream" }
puts "upload #{ask("/upload", kind: Net::HTTP::Post, headers: chunked, body: reader).body}"
sender.join

seen = []
ask("/events") do |answer|
  answer.read_body do |part|
    seen << part.strip
    ask("/next")
  end
end
puts "events #{seen.join(" ")}"

range = ask("/blob", headers: { "Range" => "bytes=1000-200999" })
puts "range #{range.code} #{Digest::SHA256.hexdigest(range.body)}"
