"""A folder of a million clients: what grows with them at one server. The model is a straight line from a small folder."""

import asyncio
import shutil
import time

from .servers import Connection, cpu_of_each, name_of, replace_file, token, write_policies

TOKENS = 4000
# why a line is too low in the end
CACHES = "beyond the caches of the processor"


class Seen:
    """What one server with so many clients needed."""

    def __init__(self, place, clients, core):
        for folder in ["policies", "keys"]:
            shutil.rmtree(place.folder / folder, ignore_errors=True)
        write_policies(place.folder / "policies", clients)
        self.file = (place.folder / "policies" / "policies.yaml").stat().st_size
        place.run("keys", "generate")
        # first without polls, which cost CPU all the time
        server = place.serve(f"of-{clients}", core=core, **{"policies.poll": "0s", "tokens.status_list": "true"})
        self.start, self.start_cpu = server.started_in, server.cpu()
        time.sleep(15 if clients > 100_000 else 1)  # warnings come after the start
        self.resident, self.at_most = server.memory(), server.memory("VmHWM")
        asyncio.run(self.requests(server, clients))
        server.stop()

        server = place.serve(f"polled-{clients}", core=core, **{"policies.poll": "2s"})
        time.sleep(15 if clients > 100_000 else 1)
        before = server.cpu()
        time.sleep(12.0)
        self.polled = (server.cpu() - before) / 12.0
        path = place.folder / "policies" / "policies.yaml"
        text = path.read_text().replace("{ tenant: tenant-0 }", "{ tenant: tenant-zero }", 1)
        before = server.cpu()
        replace_file(path, text)
        begun = time.monotonic()
        server.wait_for("policies.reloaded", 1, 900)
        self.taken_over, self.reload_cpu = time.monotonic() - begun, server.cpu() - before
        self.after_reload, self.at_most_reload = server.memory(), server.memory("VmHWM")
        server.stop()

    async def requests(self, server, clients):
        self.token = await cpu_of_each(server, TOKENS, 8, lambda connection, n: token(connection, name_of(n % clients)))
        connection = Connection(server.port, patience=600)
        before = server.cpu()
        answer = await connection.ask("GET", "/policies/big-0", [("Accept-Encoding", "gzip")])
        self.bundle_cpu, self.bundle = server.cpu() - before, answer.size
        before = server.cpu()
        answer = await connection.ask("GET", f"/status/{'0' * 22}")
        self.first_list_cpu = server.cpu() - before
        connection.close()
        admin = Connection(server.admin, patience=600)
        before = server.cpu()
        answer = await admin.ask("GET", "/metrics")
        self.scrape_cpu, self.series = server.cpu() - before, min(TOKENS, clients)
        self.scrape = answer.size
        admin.close()


def measure(place, costs, report, clients, core):
    few = clients // 20
    print(f"a folder of 10 clients, of {few} and of {clients}", flush=True)
    tiny = Seen(place, 10, core)
    small = Seen(place, few, core)
    large = Seen(place, clients, core)
    line = lambda name: getattr(tiny, name) + (getattr(small, name) - getattr(tiny, name)) * (clients - 10) / (few - 10)
    report.note("the file", "bytes", large.file)
    report.row("CPU of the start", "time", line("start_cpu"), large.start_cpu)
    report.row("memory after the start", "bytes", line("resident"), large.resident)
    report.row("memory at most, start", "bytes", line("at_most"), large.at_most, 2.0)
    report.row("CPU until an edit is in force", "time", line("reload_cpu"), large.reload_cpu, 2.0)
    report.note("an edit is in force after", "time", large.taken_over)
    report.note("memory after an edit", "bytes", large.after_reload)
    report.note("memory at most, edit", "bytes", large.at_most_reload)
    report.row("cores busy with polls", "share", line("polled"), large.polled, 2.0, CACHES)
    report.row("CPU of a token, against 10 clients", "time", tiny.token, large.token)
    report.row("CPU of a token, against benches", "time", costs.token_by_secret, tiny.token)
    report.row("bundle of an API that all may use, gzip", "bytes", line("bundle"), large.bundle)
    report.row("CPU to make it", "time", line("bundle_cpu"), large.bundle_cpu, 3.0, CACHES)
    report.row("CPU of the first status list after an edit", "time", line("first_list_cpu"), large.first_list_cpu, 3.0, CACHES)
    report.note(f"a scrape when {large.series} clients have asked", "bytes", large.scrape)
    report.note("CPU of it", "time", large.scrape_cpu)
