// Java's HttpClient with its default settings: it offers HTTP/2 with `Connection: Upgrade, HTTP2-Settings` in every
// request over clear text.
//
//     java Tokens.java BASE_URL      the server has the policies beside this file

import java.io.IOException;
import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class Tokens {
    static final String SECRET = "interop-secret-of-reader";
    static final Pattern ACCESS_TOKEN = Pattern.compile("\"access_token\":\"([^\"]+)\"");
    static String base;
    static int checks = 0;

    static void holds(String name, boolean does, Object seen) {
        if (!does) {
            System.err.println("error: " + name + ": " + seen);
            System.exit(1);
        }
        checks++;
        System.out.println("ok: " + name);
    }

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(10));
    }

    static HttpRequest.Builder tokenRequest() {
        String form = "grant_type=client_credentials&resource=" + base;
        return to("/oauth2/token").header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(form));
    }

    static HttpRequest tokenRequest(String secret) {
        String credentials = Base64.getEncoder().encodeToString(("reader:" + secret).getBytes());
        return tokenRequest().header("Authorization", "Basic " + credentials).build();
    }

    static HttpRequest use(String token) {
        return to("/principal").header("Authorization", "Bearer " + token).build();
    }

    public static void main(String[] arguments) throws InterruptedException, IOException {
        base = arguments[0];
        HttpClient client = HttpClient.newHttpClient();

        // a POST that fails is not sent again by the client, because it may have been done
        int good = 0;
        String token = "", failure = "";
        for (int request = 0; request < 200; request++) {
            try {
                HttpResponse<String> answer = client.send(tokenRequest(SECRET), BodyHandlers.ofString());
                Matcher found = ACCESS_TOKEN.matcher(answer.body());
                if (found.find()) {
                    good++;
                    token = found.group(1);
                } else {
                    failure = answer + answer.body();
                }
            } catch (IOException error) {
                failure = "" + error;
            }
        }
        holds("HttpClient gets 200 tokens", good == 200, good + ", and " + failure);
        HttpResponse<String> used = client.send(use(token), BodyHandlers.ofString());
        holds("it uses one", used.body().contains("\"client\":\"reader\""), used.body());

        HttpResponse<String> refused = client.send(tokenRequest("wrong"), BodyHandlers.ofString());
        boolean challenged = refused.headers().firstValue("WWW-Authenticate").orElse("").startsWith("Basic ");
        boolean right = refused.statusCode() == 401 && challenged && refused.body().contains("\"invalid_client\"");
        holds("a wrong secret: invalid_client", right, refused + refused.body());
        HttpResponse<String> none = client.send(use("none"), BodyHandlers.ofString());
        holds("a token that is none: 401", none.statusCode() == 401, none);
        HttpResponse<String> after = client.send(tokenRequest(SECRET), BodyHandlers.ofString());
        holds("the client goes on after refusals", after.statusCode() == 200, after);

        // an `Authenticator` sends nothing before it was asked for it
        for (String secret : new String[] {SECRET, "wrong"}) {
            HttpClient asked = HttpClient.newBuilder().authenticator(new Authenticator() {
                @Override
                protected PasswordAuthentication getPasswordAuthentication() {
                    return new PasswordAuthentication("reader", secret.toCharArray());
                }
            }).build();
            String seen;
            try {
                seen = "" + asked.send(tokenRequest().build(), BodyHandlers.ofString()).statusCode();
            } catch (IOException error) {
                seen = error.getMessage();
            }
            String expected = secret.equals(SECRET) ? "200" : "too many authentication attempts. Limit: 3";
            holds("an Authenticator with " + (secret.equals(SECRET) ? "the" : "a wrong") + " secret: " + expected,
                    seen.equals(expected), seen);
        }
        System.out.println(checks + " checks by Java's HttpClient hold");
    }
}
