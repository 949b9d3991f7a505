// Asks a vendor with java.net.http: URL CREDENTIAL VERSION.

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

public class Client {
    static String base;
    static String credential;

    static HttpRequest.Builder request(String path) {
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(base + path));
        return credential.isEmpty() ? builder : builder.header("Authorization", credential);
    }

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        credential = arguments[1];
        boolean second = arguments[2].equals("2");
        HttpClient.Builder builder = HttpClient.newBuilder()
                .version(second ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1)
                .proxy(ProxySelector.getDefault());
        String password = System.getProperty("moat.token");
        if (password != null) {
            builder.authenticator(new Authenticator() {
                @Override
                protected PasswordAuthentication getPasswordAuthentication() {
                    return new PasswordAuthentication("moat", password.toCharArray());
                }
            });
        }
        HttpClient client = builder.build();

        HttpResponse<String> me = client.send(request("/me").build(), BodyHandlers.ofString());
        if (me.version() == HttpClient.Version.HTTP_2 != second) {
            throw new IllegalStateException(me.version().toString());
        }
        String blocked = me.headers().firstValue("x-moat-blocked").orElse("-");
        System.out.println("me " + me.statusCode() + " " + blocked);
        if (me.statusCode() != 200) {
            return;
        }

        byte[] bytes = "x".repeat(300_000).getBytes();
        HttpRequest upload = request("/upload")
                .POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes)))
                .build();
        System.out.println("upload " + client.send(upload, BodyHandlers.ofString()).body());

        List<String> seen = new ArrayList<>();
        seen.add("events");
        client.send(request("/events").build(), BodyHandlers.ofLines()).body().forEach(line -> {
            if (!line.isEmpty()) {
                seen.add(line);
                client.sendAsync(request("/next").build(), BodyHandlers.discarding()).join();
            }
        });
        System.out.println(String.join(" ", seen));

        HttpRequest part = request("/blob").header("Range", "bytes=1000-200999").build();
        HttpResponse<InputStream> range = client.send(part, BodyHandlers.ofInputStream());
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(range.body().readAllBytes());
        System.out.println("range " + range.statusCode() + " " + HexFormat.of().formatHex(hash));
    }
}
