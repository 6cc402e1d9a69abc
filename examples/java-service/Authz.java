import com.sun.net.httpserver.Filter;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsExchange;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.cert.CertificateEncodingException;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.SSLPeerUnverifiedException;

/** Asks jeton about each request, and lets the handler run only after a yes. */
final class Authz extends Filter {
    /** One client for all requests, so that connections to jeton stay open. */
    private static final HttpClient JETON = HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1)
        .followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(Duration.ofSeconds(2))
        .build();
    private static final List<String> HANDED_OVER =
        List.of("Authorization", "DPoP", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override");
    private static final ThreadLocal<HttpHeaders> CALLER = new ThreadLocal<>();
    private final URI authz;

    Authz(String authz) {
        this.authz = URI.create(authz);
    }

    /** What jeton says of who asks, such as X-Auth-Client; empty where it says nothing. Never take it from the request. */
    static String caller(String header) {
        return CALLER.get().firstValue(header).orElse("");
    }

    @Override
    public void doFilter(HttpExchange exchange, Chain chain) throws IOException {
        // as it was sent: getPath() is decoded, and another path could look the same
        String target = exchange.getRequestURI().toString();
        // java.net.http would ask about `?` in the place of others; and not every server of Java refuses two hosts
        if (target.chars().anyMatch(c -> c > 0x7e) || hosts(exchange) != 1) {
            answer(exchange, 400, new byte[0]);
            return;
        }
        HttpResponse<byte[]> answer;
        try {
            HttpRequest.Builder ask = HttpRequest.newBuilder(authz)
                .timeout(Duration.ofSeconds(2))
                .header("X-Original-Method", exchange.getRequestMethod())
                .header("X-Original-URI", target);
            // all of them: jeton refuses two tokens, two proofs, and a header that changes the method
            for (String name : HANDED_OVER) {
                exchange.getRequestHeaders().getOrDefault(name, List.of()).forEach(value -> ask.header(name, value));
            }
            String certificate = certificateOf(exchange);
            if (certificate != null) {
                ask.header("Client-Cert", certificate);
            }
            answer = JETON.send(ask.build(), HttpResponse.BodyHandlers.ofByteArray());
        } catch (IOException | IllegalArgumentException failed) {
            answer(exchange, 503, new byte[0]);
            return;
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            answer(exchange, 503, new byte[0]);
            return;
        }
        if (answer.statusCode() == 200) {
            CALLER.set(answer.headers());
            try {
                chain.doFilter(exchange);
            } finally {
                CALLER.remove();
            }
        } else if (answer.statusCode() == 401 || answer.statusCode() == 403) {
            for (String name : List.of("WWW-Authenticate", "Content-Type")) {
                answer.headers().allValues(name).forEach(value -> exchange.getResponseHeaders().add(name, value));
            }
            answer(exchange, answer.statusCode(), answer.body());
        } else {
            answer(exchange, 503, new byte[0]);
        }
    }

    /** How many Host headers there are: one, or the request is for nobody (RFC 9112 section 3.2). */
    private static int hosts(HttpExchange exchange) {
        return exchange.getRequestHeaders().getOrDefault("Host", List.of()).size();
    }

    /** The client's certificate as RFC 9440 writes it, where this server has TLS and the client showed one. */
    private static String certificateOf(HttpExchange exchange) throws IOException {
        try {
            return exchange instanceof HttpsExchange secured
                ? ":" + Base64.getEncoder().encodeToString(secured.getSSLSession().getPeerCertificates()[0].getEncoded()) + ":"
                : null;
        } catch (SSLPeerUnverifiedException none) {
            return null;
        } catch (CertificateEncodingException broken) {
            throw new IOException(broken);
        }
    }

    static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
        boolean isHead = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(status, isHead || body.length == 0 ? -1 : body.length);
        if (!isHead) {
            exchange.getResponseBody().write(body);
        }
        exchange.close();
    }

    @Override
    public String description() {
        return "asks jeton about each request";
    }
}
