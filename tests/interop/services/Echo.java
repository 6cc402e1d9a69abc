import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;

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

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Echo::passOn).getFilters().add(new Authz(System.getenv("AUTHZ")));
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
