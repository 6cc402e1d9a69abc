import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

/** What stands behind the middleware of examples/java-service in tests: it passes on what a handler is told, byte by byte. */
final class Echo {
    private static final List<String> TOLD = List.of(
        "X-Auth-Client", "X-Auth-Scopes", "X-Auth-Roles", "X-Auth-Token-Id", "X-Auth-Claim-Tenant");

    static void passOn(HttpExchange exchange) throws IOException {
        StringBuilder head = new StringBuilder();
        head.append(exchange.getRequestMethod()).append(' ').append(exchange.getRequestURI()).append(" HTTP/1.1\r\n");
        for (String name : List.of("Host", "X-Row", "X-Jeton-Check")) {
            exchange.getRequestHeaders().getOrDefault(name, List.of()).forEach(value -> line(head, name, value));
        }
        TOLD.forEach(name -> line(head, name, Authz.caller(name)));
        line(head, "Connection", "close");
        String[] place = System.getenv("UPSTREAM").split(":");
        byte[] answer;
        try (Socket upstream = new Socket(place[0], Integer.parseInt(place[1]))) {
            upstream.getOutputStream().write((head + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
            answer = upstream.getInputStream().readAllBytes();
        }
        String text = new String(answer, StandardCharsets.ISO_8859_1);
        int end = text.indexOf("\r\n\r\n") + 4;
        Authz.answer(exchange, Integer.parseInt(text.split(" ")[1]), Arrays.copyOfRange(answer, end, answer.length));
    }

    private static void line(StringBuilder head, String name, String value) {
        head.append(name).append(": ").append(value).append("\r\n");
    }

    /** A server with TLS that asks for certificates, and does not insist. */
    private static HttpServer secured(InetSocketAddress place) throws IOException, GeneralSecurityException {
        PrivateKey key = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder()
            .decode(Files.readString(Path.of(System.getenv("KEY"))).replaceAll("-----.*-----", ""))));
        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(null, null);
        own.setKeyEntry("own", key, new char[0], certificates("CERT").toArray(Certificate[]::new));
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        KeyStore clients = KeyStore.getInstance("PKCS12");
        clients.load(null, null);
        for (Certificate client : certificates("CLIENTS")) {
            clients.setCertificateEntry("client-" + clients.size(), client);
        }
        TrustManagerFactory trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusted.init(clients);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trusted.getTrustManagers(), null);
        HttpsServer server = HttpsServer.create(place, 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override
            public void configure(HttpsParameters parameters) {
                SSLParameters asking = getSSLContext().getDefaultSSLParameters();
                asking.setWantClientAuth(true);
                parameters.setSSLParameters(asking);
            }
        });
        return server;
    }

    private static Collection<? extends Certificate> certificates(String file) throws IOException, CertificateException {
        try (InputStream pem = Files.newInputStream(Path.of(System.getenv(file)))) {
            return CertificateFactory.getInstance("X.509").generateCertificates(pem);
        }
    }

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        InetSocketAddress place = new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT")));
        HttpServer server = System.getenv("CERT") == null ? HttpServer.create(place, 0) : secured(place);
        server.createContext("/", Echo::passOn).getFilters().add(new Authz(System.getenv("AUTHZ")));
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
