"""
The child process that serves the built-in model; run by path, not imported.

It answers with one line on stdout, the address it listens on or `error: ...`, and then
serves until its stdin ends. That happens when the program closes it, and also when the
program is killed, so it never outlives the program. It imports nothing of ours.
"""

import argparse
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the model of the flags on a free loopback port until stdin ends."""
    parser = argparse.ArgumentParser()
    for flag in ("--model", "--alias"):
        parser.add_argument(flag, required=True)
    for flag in ("--slots", "--context", "--threads"):
        parser.add_argument(flag, type=int, required=True)
    args = parser.parse_args(argv)
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = args.model
        params.model_alias = {args.alias}
        params.n_parallel = args.slots
        params.n_ctx = args.slots * args.context  # of all slots together
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
        params.verbosity = -1
        # Old prompts would be kept for reuse: up to 8 GB for a model of 0.1 GB.
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
        # A web page must not be able to read what is being written.
        params.cors_origins = ""
        params.endpoint_slots = False
        params.ui = False
        server = xllamacpp.Server(params)
    except Exception as error:  # noqa: BLE001 -- the parent has only this line to show
        answer(f"error: {error}")
        return 1
    answer(server.listening_address)
    sys.stdin.buffer.read()
    # Destroying a server that is answering a request never returns; ending does.
    os._exit(0)


def answer(line: str) -> None:
    """Say the one line that the parent waits for."""
    sys.stdout.write(" ".join(line.split()) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
