"""The process in which codec scripts run: `python -m ingest.codecs.host`, questions by pipe.

A regular expression can run for ever and no limit of the engine ends it, so whoever asks ends this
process instead. It has little memory, no files, and knows nothing but the scripts it is given.
"""

from __future__ import annotations

import resource
import struct
import sys
from typing import Any, BinaryIO

import orjson
import quickjs

MEMORY = 16 << 20
STACK = 256 << 10
# Of one question: a few hundred calls, each of which takes microseconds.
CALL_S = 0.1
ALL_MEMORY = 512 << 20
CALLS_OF_A_CONTEXT = 20_000
LENGTH = struct.Struct(">I")
# The same door for all usual ways to write a decoder: The Things Stack and ChirpStack 4
# (decodeUplink), ChirpStack 3 (Decode), The Things Network 2 (Decoder).
_WRAP = """
function __one(bytes, port) {
  var said;
  try {
    if (typeof decodeUplink === "function") said = decodeUplink({bytes: bytes, fPort: port});
    else if (typeof Decode === "function") said = {data: Decode(port, bytes, {})};
    else if (typeof Decoder === "function") said = {data: Decoder(bytes, port)};
    else said = {errors: ["the script has no function decodeUplink"]};
  } catch (why) { said = {errors: [String(why)]}; }
  return said && typeof said === "object" ? said : {errors: ["nothing returned"]};
}
function __many(calls) {
  return JSON.stringify(JSON.parse(calls).map(function (one) { return __one(one[0], one[1]); }));
}
"""
_CONSOLE = "var console = {log: function () {}, warn: function () {}, error: function () {}};"


class Script:
    """One script in an engine of its own."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.calls = 0
        self._context: Any = None

    def many(self, calls: bytes) -> bytes:
        """Return what the script says of calls `[[bytes, port], …]`, as JSON of the same order.

        Where they fail together (too long, too much memory), each is called alone.
        """
        try:
            return self._call(calls)
        except quickjs.JSException as why:
            one_by_one = orjson.loads(calls)
            if len(one_by_one) == 1:
                said = str(why).strip().splitlines()
                return orjson.dumps([{"errors": [said[0][:300] if said else "the script failed"]}])
        parts = [self.many(orjson.dumps([one])) for one in one_by_one]
        return b"[" + b",".join(part[1:-1] for part in parts) + b"]"

    def _call(self, calls: bytes) -> bytes:
        try:
            if self._context is None or self.calls >= CALLS_OF_A_CONTEXT:
                self._open()
            self.calls += calls.count(b"]") - 1
            said: str = self._context.get("__many")(calls.decode())
            return said.encode()
        except quickjs.JSException:
            # Whatever it left behind in its globals goes with its engine.
            self._context = None
            raise

    def _open(self) -> None:
        context = quickjs.Context()
        context.set_memory_limit(MEMORY)
        context.set_max_stack_size(STACK)
        context.set_time_limit(CALL_S)
        context.eval(_CONSOLE)
        context.eval(self.source)
        context.eval(_WRAP)
        self._context, self.calls = context, 0


def answer(scripts: dict[str, Script], asked: bytes) -> bytes:
    """Answer one question: a line with a key and perhaps its script, then the calls."""
    head, _, calls = asked.partition(b"\n")
    said = orjson.loads(head)
    if said.get("script") is not None:
        scripts[said["key"]] = Script(said["script"])
    return scripts[said["key"]].many(calls)


def _exactly(pipe: BinaryIO, count: int) -> bytes:
    """Return so many bytes, fewer only at the end of the pipe."""
    parts = b""
    while len(parts) < count:
        part = pipe.read(count - len(parts))
        if not part:
            break
        parts += part
    return parts


def main() -> int:
    """Answer until the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (ALL_MEMORY, ALL_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    scripts: dict[str, Script] = {}
    into, out = sys.stdin.buffer, sys.stdout.buffer
    while len(head := _exactly(into, LENGTH.size)) == LENGTH.size:
        raw = answer(scripts, _exactly(into, LENGTH.unpack(head)[0]))
        out.write(LENGTH.pack(len(raw)) + raw)
        out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
