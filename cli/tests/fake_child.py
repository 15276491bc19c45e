"""A stand-in for a service: `python fake_child.py NAME [exit=N] [ignore-term] [print=VARIABLE]`.

Prints "up" with its pid, then waits; prints "bye" on SIGTERM. `exit=N` exits at once with that code.
"""

import os
import signal
import sys


def main() -> int:
    name, *orders = sys.argv[1:]
    for order in orders:
        if order.startswith("print="):
            variable = order.removeprefix("print=")
            print(f"{variable}={os.environ.get(variable, 'unset')}", flush=True)
    codes = [int(order.removeprefix("exit=")) for order in orders if order.startswith("exit=")]
    if codes:
        print(f"{name} gives up", file=sys.stderr, flush=True)
        return codes[0]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print(f"{name} up {os.getpid()}", flush=True)
    while True:
        signal.sigwait({signal.SIGTERM})
        if "ignore-term" not in orders:
            print(f"{name} bye", flush=True)
            return 0


if __name__ == "__main__":
    sys.exit(main())
