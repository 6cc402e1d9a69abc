"""The pictures that no program prints: what goes where, when, and which way to take."""

from drawing import COLOURS, INK, QUIET, Drawing


def flow():
    drawing = Drawing(900, 372, "A client fetches a token from jeton and shows it to a service, which decides by the policies")
    drawing.box(30, 244, 200, 84, "client", ["a program, not a person"], "blue")
    drawing.box(350, 36, 200, 84, "jeton", ["signs tokens"], "green")
    drawing.box(670, 244, 200, 84, "your service", ["decides by the policies"], "purple")
    drawing.box(670, 36, 200, 84, "policies/  keys/", ["text files, in Git", "or in a mounted volume"], "amber", mono=True, size=15)
    drawing.line([(666, 78), (554, 78)])
    drawing.text(610, 68, "read", 13, QUIET, "middle")
    drawing.line([(770, 124), (770, 240)])
    drawing.text(780, 186, "policies, read", 13, QUIET)
    drawing.line([(100, 240), (100, 62), (346, 62)])
    drawing.text(112, 54, "1. id and secret, or a signature", 14, INK)
    drawing.line([(346, 96), (160, 96), (160, 240)])
    drawing.text(172, 116, "2. token:", 14, INK)
    drawing.text(172, 136, "scopes, roles, claims", 14, INK)
    drawing.line([(500, 124), (500, 204), (690, 204), (690, 240)], dashed=True)
    drawing.text(512, 196, "public keys, fetched now and then", 13, QUIET)
    drawing.line([(234, 270), (666, 270)])
    drawing.text(450, 262, "3. GET /tenants/acme/orders, with the token", 14, INK, "middle")
    drawing.line([(666, 306), (234, 306)])
    drawing.text(450, 326, "4. 200, 401 or 403: decided in memory, nobody is asked", 14, INK, "middle")
    drawing.text(450, 356, "No user table, no database: all that jeton knows stands in two folders.", 13, QUIET, "middle")
    return drawing


def keys():
    """Three keys one below the other; not to scale."""
    drawing = Drawing(900, 356, "The life of three keys: each is published before it signs and after it signed")
    states = [
        ("next", "amber", "published, does not sign yet"), ("active", "green", "signs"),
        ("retired", "blue", "still published, does not sign"), ("expired", "grey", "not published"),
    ]
    x = 32
    for state, colour, words in states:
        drawing.rectangle(x, 22, 16, 16, colour, 3)
        drawing.text(x + 24, 35, state, 14, bold=True)
        drawing.text(x + 24, 54, words, 12.5, QUIET)
        x += {"next": 232, "active": 150, "retired": 240, "expired": 0}[state]

    left, day, top, high = 110, 220, 86, 40
    made, hand, axis = (left, left + day, left + 2 * day), 70, top + 3 * 62
    for x in (made[1], made[1] + hand, made[2], made[2] + hand):
        drawing.line([(x, top - 10), (x, axis + 4)], dashed=True, arrow=False, width=1)
    for number, begin in enumerate(made):
        y = top + number * 62
        drawing.text(32, y + 26, f"key {number + 1}", 15, bold=True)
        first = number == 0
        retired = begin + day + hand if number < 2 else 868
        signs = begin if first else begin + hand
        parts = [("next", begin, signs - begin), ("active", signs, retired - signs)]
        parts.append(("retired", retired, max(0, min(250, 868 - retired))))
        parts.append(("expired", retired + 250, max(0, 868 - retired - 250)))
        for state, x, width in parts:
            colour = next(colour for name, colour, _ in states if name == state)
            width = min(width, 868 - x)
            if width > 0:
                drawing.rectangle(x, y, width, high, colour, 4, dashed=state == "expired")
            if width > 50:
                drawing.text(x + width / 2, y + 25, state, 14, COLOURS[colour][1], "middle", bold=True)
    drawing.line([(left, axis + 4), (872, axis + 4)])
    drawing.text(made[1] + 2, axis + 22, "rotate", 13, INK, "middle", mono=True)
    drawing.text(made[1] + hand + 6, axis + 22, "key 2 signs", 13, INK)
    drawing.text(made[2] + 2, axis + 22, "rotate", 13, INK, "middle", mono=True)
    drawing.text(made[2] + hand + 6, axis + 22, "key 3 signs", 13, INK)
    drawing.text(872, axis + 22, "time", 13, QUIET, "end")
    drawing.text(
        32, axis + 52,
        "next: keys.publish_ahead (1 h), so that verifiers fetch the key before they need it. Not to scale.", 13, QUIET)
    drawing.text(
        32, axis + 72,
        "retired: as long as a token that the key signed may live: max(tokens.max_ttl, tokens.refresh_ttl) + tokens.leeway.", 13, QUIET)
    return drawing


def ways():
    drawing = Drawing(900, 494, "Which of four ways a service should use to check tokens")

    def question(y, number, lines):
        drawing.rectangle(30, y, 330, 66, "white", 8)
        drawing.text(46, y + 39, str(number), 20, QUIET, bold=True)
        for row, line in enumerate(lines):
            drawing.text(78, y + 28 + 20 * row + (10 if len(lines) == 1 else 0), line, 15)

    def answer(y, head, lines, colour):
        drawing.rectangle(470, y - 6, 400, 84, colour)
        drawing.text(488, y + 20, head, 16, bold=True)
        for row, line in enumerate(lines):
            drawing.text(488, y + 42 + 20 * row, line, 13.5, QUIET)

    steps = [
        (["Is the service written in Rust?"], "Protect, from this library",
         ["Decides in the process, by the policy files.", "Nobody is asked, and jeton may be away."], "green"),
        (["Can a gateway stand before it,", "and the policy files decide?"], "A gateway that asks jeton",
         ["No code in the service, whatever its language.", "A request costs a question to jeton."], "blue"),
        (["Must a revoked token stop at once?"], "Introspection",
         ["Your code decides by scopes, roles and claims.", "A request costs a question to jeton."], "amber"),
    ]
    for number, (lines, head, about, colour) in enumerate(steps, 1):
        y = 30 + (number - 1) * 112
        question(y, number, lines)
        drawing.line([(360, y + 33), (466, y + 33)])
        drawing.text(412, y + 25, "yes", 14, QUIET, "middle", bold=True)
        answer(y, head, about, colour)
        drawing.line([(195, y + 66), (195, y + 108)])
        drawing.text(206, y + 93, "no", 14, QUIET, bold=True)
    y = 30 + 3 * 112
    drawing.rectangle(30, y, 840, 84, "purple")
    drawing.text(48, y + 27, "A JWT library of your language", 16, bold=True)
    drawing.text(48, y + 50, "Checks offline: a request costs a signature check, and jeton may be away. Your code decides by scopes, roles, claims.", 13.5, QUIET)
    drawing.text(48, y + 70, "With a status list it hears of a revoked client within a minute; without, when the token expires.", 13.5, QUIET)
    drawing.text(30, 474, "A product that takes tokens of any issuer, such as RabbitMQ, checks them by itself.", 13, QUIET)
    return drawing


def production():
    drawing = Drawing(900, 520, "A production set-up: a proxy with TLS, two replicas, two folders, a shared store")
    drawing.box(30, 60, 150, 80, "clients", ["fetch tokens"], "blue")
    drawing.box(250, 60, 160, 80, "TLS proxy", ["nginx, Caddy, …", "bounds addresses"], "white")
    drawing.rectangle(480, 30, 200, 190, "grey", dashed=True)
    drawing.text(580, 52, "private network", 13, QUIET, "middle")
    drawing.box(500, 64, 160, 62, "jeton", ["replica 1"], "green")
    drawing.box(500, 142, 160, 62, "jeton", ["replica 2"], "green")
    drawing.line([(184, 100), (246, 100)])
    drawing.text(215, 92, "https", 13, QUIET, "middle")
    drawing.line([(414, 100), (496, 94)])
    drawing.line([(414, 112), (496, 166)])
    drawing.text(446, 90, "http", 13, QUIET, "middle")
    drawing.box(730, 60, 140, 62, "shared store", ["Redis, Valkey"], "red", size=15)
    drawing.line([(664, 94), (726, 92)])
    drawing.line([(664, 170), (704, 170), (704, 104), (726, 104)])
    drawing.text(800, 142, "only for: single use over all", 12.5, QUIET, "middle")
    drawing.text(800, 159, "replicas, and revocation", 12.5, QUIET, "middle")
    drawing.text(800, 176, "by clients", 12.5, QUIET, "middle")

    drawing.box(480, 284, 94, 66, "policies/", ["read-only"], "amber", mono=True, size=14)
    drawing.box(586, 284, 94, 66, "keys/", ["mode 0600"], "amber", mono=True, size=15)
    drawing.line([(527, 280), (527, 224)])
    drawing.line([(633, 280), (633, 224)])
    drawing.text(518, 258, "followed every 2 s", 13, QUIET, "end")
    drawing.box(730, 284, 140, 66, "backup", ["of keys/, encrypted"], "white", size=15)
    drawing.line([(684, 317), (726, 317)])

    drawing.box(30, 410, 150, 80, "operator", ["edits a branch"], "blue")
    drawing.box(250, 410, 160, 80, "Git and CI", ["check · test · diff", "a gain: second review"], "white")
    drawing.line([(184, 450), (246, 450)])
    drawing.line([(414, 450), (527, 450), (527, 354)])
    drawing.text(537, 410, "git pull, or a volume", 13, QUIET)

    drawing.box(30, 226, 150, 80, "services", ["check offline"], "purple")
    drawing.line([(184, 250), (330, 250), (330, 144)])
    drawing.text(192, 242, "keys, status lists", 13, QUIET)
    drawing.line([(105, 144), (105, 222)])
    drawing.text(115, 190, "token", 13, QUIET)

    drawing.box(730, 410, 140, 80, "Prometheus", ["/metrics of each", "sends the alerts"], "white")
    drawing.line([(684, 206), (706, 206), (706, 450), (726, 450)], dashed=True)
    return drawing


def revocation():
    drawing = Drawing(900, 424, "What a revocation reaches, and when")
    columns = [("a client", "jeton clients revoke"), ("one token, in the files", "jeton token revoke"), ("one token, by its client", "POST /oauth2/revoke")]
    rows = [
        ("jeton itself", "tokens, exchange, refresh"),
        ("a gateway, introspection", "jeton is asked each time"),
        ("Protect, from the folder", "a service in Rust"),
        ("offline, with a status list", "any language"),
        ("offline, without", "any language"),
    ]
    at_once = ("green", ["within 3 s", "by the poll"])
    store = ("green", ["at once", "other replicas: 1 s"])
    loaded = ("green", ["at its next reload", "of the folder"])
    never = ("red", ["at expiry", "the token lives on"])
    cells = [
        [at_once, at_once, store], [at_once, at_once, store], [loaded, loaded, never],
        [("amber", ["about 1 min", "tokens.status_list_ttl"]), never, never], [never, never, never],
    ]
    drawing.text(30, 40, "who hears of it, and when", 15, bold=True)
    for column, (head, command) in enumerate(columns):
        x = 272 + column * 204
        drawing.text(x + 97, 34, head, 15, anchor="middle", bold=True)
        drawing.text(x + 97, 54, command, 12.5, QUIET, "middle", mono=True)
    for row, (who, about) in enumerate(rows):
        y = 70 + row * 64
        drawing.text(30, y + 25, who, 15, bold=True)
        drawing.text(30, y + 44, about, 13, QUIET)
        for column, (colour, words) in enumerate(cells[row]):
            x = 272 + column * 204
            drawing.rectangle(x, y, 194, 56, colour, 6)
            drawing.text(x + 97, y + 24, words[0], 14, anchor="middle", bold=True)
            drawing.text(x + 97, y + 43, words[1], 13, QUIET, "middle")
    drawing.text(30, 406, "With the defaults. Revocation by a client needs a shared store.", 13, QUIET)
    return drawing


def gateway():
    drawing = Drawing(900, 404, "A gateway asks jeton about each request before the service gets it")
    lanes = {"client": (110, "blue"), "gateway": (330, "white"), "jeton": (570, "green"), "service": (790, "purple")}
    for name, (x, colour) in lanes.items():
        drawing.box(x - 65, 22, 130, 44, name, colour=colour)
        drawing.line([(x, 66), (x, 384)], dashed=True, arrow=False, width=1)

    def message(y, begin, end, words, dashed=False):
        (x, _), (to, _) = lanes[begin], lanes[end]
        shift = 4 if to > x else -4
        drawing.line([(x + shift, y), (to - shift, y)], dashed=dashed)
        drawing.text((x + to) / 2, y - 8, words, 13.5, anchor="middle")

    message(104, "client", "gateway", "GET /tenants/…, TOKEN")
    message(144, "gateway", "jeton", "method, path, TOKEN?")
    drawing.box(470, 158, 200, 52, "decides", ["by token and policies"], "green", size=14)
    message(242, "jeton", "gateway", "200, X-Auth-Client: acme-sync")
    message(282, "gateway", "service", "GET /tenants/…, X-Auth-Client: acme-sync")
    message(322, "jeton", "gateway", "or 401, 403, or nothing", dashed=True)
    message(362, "gateway", "client", "refused", dashed=True)
    drawing.text(348, 366, "the service hears nothing of it", 13, QUIET)
    return drawing


DIAGRAMS = {
    "flow": flow, "keys": keys, "ways": ways, "production": production, "revocation": revocation, "gateway": gateway,
}
