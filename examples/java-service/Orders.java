import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** The orders API of the sample, in Java. jeton decides: no line here is about tokens. */
final class Orders {
    static void orders(HttpExchange exchange) throws IOException {
        String[] parts = exchange.getRequestURI().getPath().split("/", -1);
        if (exchange.getRequestURI().getPath().equals("/healthz")) {
            Authz.answer(exchange, 200, new byte[0]);
        } else if (parts.length == 4 && parts[3].equals("orders")) {
            // policies let names of letters, digits and `-` through; others would have to be escaped here
            String body = "{\"orders\":[{\"order\":42,\"total\":\"99.00\"}],\"read_by\":\""
                + Authz.caller("X-Auth-Client") + "\",\"tenant\":\"" + parts[2].replaceAll("[^A-Za-z0-9-]", "") + "\"}\n";
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            Authz.answer(exchange, 200, body.getBytes(StandardCharsets.UTF_8));
        } else {
            Authz.answer(exchange, 404, new byte[0]);
        }
    }

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Orders::orders).getFilters().add(new Authz(System.getenv("AUTHZ")));
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
