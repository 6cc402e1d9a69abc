"""A way to a port that takes time, and that can be cut."""

import asyncio
import contextlib


class Way:
    """Forwards connections on a port of its own. Each direction takes half of `far` seconds."""

    def __init__(self, to, far=0.0):
        self.to, self.far, self.server, self.port = to, far, None, 0
        self.open, self.running = asyncio.Event(), set()
        self.open.set()

    async def start(self):
        self.server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _forward(self, reader, writer):
        task = asyncio.current_task()
        self.running.add(task)
        # whoever is let go of when the way ends or is cut has nothing to say
        with contextlib.suppress(asyncio.CancelledError, OSError):
            if not self.open.is_set():
                # a first packet that is lost: this one never comes to life
                await asyncio.Event().wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to)
            ways = [self._carry(reader, there_writer), self._carry(there_reader, writer)]
            carrying = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(carrying, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in carrying:
                    one.cancel()
                await asyncio.gather(*carrying, return_exceptions=True)
                there_writer.close()
        self.running.discard(task)
        writer.close()

    async def _carry(self, reader, writer):
        """Bytes arrive in order, each after its time; what waits does not hold up what comes."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue()

        async def deliver():
            while (item := await queue.get()) is not None:
                at, data = item
                await asyncio.sleep(max(0.0, at - loop.time()))
                await self.open.wait()
                writer.write(data)
                await writer.drain()
            writer.close()

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(65536):
                queue.put_nowait((loop.time() + self.far / 2, data))
            queue.put_nowait(None)
            await delivering
        finally:
            delivering.cancel()

    async def cut(self, refuse):
        """Ends what is connected and refuses what comes; or carries nothing, and whoever connects meanwhile is lost."""
        if not refuse:
            self.open.clear()
            return
        self.server.close()
        for task in list(self.running):
            task.cancel()
        await asyncio.sleep(0)

    async def mend(self):
        self.open.set()
        if not self.server.is_serving():
            await self.start()

    async def stop(self):
        self.open.set()
        self.server.close()
        for task in list(self.running):
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
