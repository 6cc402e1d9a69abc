"""RabbitMQ takes tokens as passwords (`rabbitmq_auth_backend_oauth2`): it fetches the keys over TLS, which it insists on,
from nginx before the server."""

import os
import time

import pika
import requests
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from live import HERE, ORDERS, checks, connects, free_port, secret_of

TLS = HERE.parents[1] / "tests/fixtures/tls"
NGINX = """
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path nginx-body;
  proxy_temp_path nginx-proxy;
  fastcgi_temp_path nginx-fastcgi;
  uwsgi_temp_path nginx-uwsgi;
  scgi_temp_path nginx-scgi;
  server {{
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {tls}/server.pem;
    ssl_certificate_key {tls}/test-only-key.pem;
    location / {{
      proxy_pass {base};
    }}
  }}
}}
"""
BROKER = """
listeners.tcp.1 = 127.0.0.1:{port}
auth_backends.1 = rabbit_auth_backend_oauth2
auth_oauth2.resource_server_id = broker
auth_oauth2.jwks_url = {issuer}/.well-known/jwks.json
auth_oauth2.https.cacertfile = {tls}/ca.pem
auth_oauth2.https.peer_verification = verify_peer
auth_oauth2.https.hostname_verification = wildcard
auth_oauth2.algorithms.1 = RS256
"""


def start_nginx(place, base, tls_port):
    (place.folder / "nginx.conf").write_text(NGINX.format(base=base, tls=TLS, tls_port=tls_port))
    command = ["nginx", "-e", "stderr", "-p", place.folder, "-c", place.folder / "nginx.conf"]
    place.start(command, "nginx", lambda: connects(tls_port))


def start_broker(place, issuer):
    # the distribution of Erlang, of a single node
    port, names, distribution = free_port(), free_port(), free_port()
    place.start(["epmd", "-address", "127.0.0.1", "-port", str(names)], "epmd", lambda: connects(names))
    (place.folder / "rabbitmq.conf").write_text(BROKER.format(port=port, issuer=issuer, tls=TLS))
    (place.folder / "enabled_plugins").write_text("[rabbitmq_auth_backend_oauth2].\n")
    environment = os.environ | {
        "HOME": str(place.folder),
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": "jeton@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(place.folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place.folder / "enabled_plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(place.folder / "generated"),
        "RABBITMQ_MNESIA_BASE": str(place.folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(place.folder),
        "RABBITMQ_LOGS": "-",
        # as under systemd the script becomes the broker, and so ends with it
        "NOTIFY_SOCKET": str(place.folder / "notify"),
    }
    # that of the path changes to a user of its own
    place.start(["/usr/lib/rabbitmq/bin/rabbitmq-server"], "rabbitmq", lambda: connects(port), env=environment)
    return port


def run(place):
    tls_port = free_port()
    issuer = f"https://localhost:{tls_port}"
    start_nginx(place, place.serve(issuer=issuer), tls_port)
    port = start_broker(place, issuer)

    def token_of(client, resource="broker", **more):
        form = {"grant_type": "client_credentials", "resource": resource, **more}
        login = (client, secret_of(client))
        answer = requests.post(f"{issuer}/oauth2/token", form, auth=login, timeout=10, verify=TLS / "ca.pem")
        return answer.json()["access_token"]

    def connected(token):
        credentials = pika.PlainCredentials("ignored", token)
        parameters = pika.ConnectionParameters("127.0.0.1", port, credentials=credentials, socket_timeout=10)
        return pika.BlockingConnection(parameters)

    def refused(name, error, words, attempt):
        try:
            attempt()
        except error as refusal:
            checks.holds(f"{name}: {error.__name__}: {words}", words in str(refusal), str(refusal))
        else:
            raise SystemExit(f"error: {name}: it was not refused")

    with connected(token_of("worker")) as connection:
        channel = connection.channel()
        channel.queue_declare("jobs")
        channel.basic_publish("", "jobs", b"one")
        deadline = time.monotonic() + 10
        while (taken := channel.basic_get("jobs", auto_ack=True)[2]) is None and time.monotonic() < deadline:
            pass
        checks.holds("RabbitMQ takes a token: a queue is declared, written and read", taken == b"one", taken)
        denied = "access to queue 'others' in vhost '/' refused"
        refused("another queue", ChannelClosedByBroker, denied, lambda: channel.queue_declare("others"))

    with connected(token_of("worker", scope="broker.read:*/jobs")) as connection:
        channel = connection.channel()
        denied = "access to queue 'jobs' in vhost '/' refused"
        refused("a token of fewer scopes", ChannelClosedByBroker, denied, lambda: channel.queue_declare("jobs"))
    login = "ACCESS_REFUSED - Login was refused"
    for name, error, words, token in [
        ("a token for another audience", ProbableAuthenticationError, login, token_of("worker", ORDERS)),
        ("a changed token", ProbableAuthenticationError, login, token_of("worker")[:-8] + "AAAAAAAA"),
        ("what is no token", ProbableAuthenticationError, login, "none"),
        ("a token without a scope of this broker", ProbableAccessDeniedError, "access to vhost", token_of("stranger")),
    ]:
        refused(name, error, words, lambda token=token: connected(token))
    [broker] = [program for program in place.running if program.log.name == "rabbitmq.log"]
    checks.soon("its log says why", lambda: "resource_id_not_found_in_aud" in broker.log.read_text())
