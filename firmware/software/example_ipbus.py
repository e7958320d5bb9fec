"""Show the counters of a trigger on an EMP board, and set a prescale if asked:

    python example_ipbus.py CONNECTIONS.xml DEVICE [--node NODE] [--prescale NAME NUMBER]

Needs uhal (python -m pip install uhal, or the IPbus software of your experiment).
"""

import argparse
import sys

from trigger_board import Ipbus, Trigger


def main() -> int:
    """The exit status is 2 without uhal."""
    parser = argparse.ArgumentParser(description="Counters and prescales over IPbus.")
    parser.add_argument("connections", help="the connection file of the board")
    parser.add_argument("device", help="the board in that file")
    parser.add_argument("--node", default="payload", help="the payload in its address table")
    parser.add_argument("--prescale", nargs=2, metavar=("NAME", "NUMBER"))
    asked = parser.parse_args()
    try:
        import uhal
    except ModuleNotFoundError:
        print(
            "uhal is not installed; install it with: python -m pip install uhal, "
            "or from the IPbus software of your experiment",
            file=sys.stderr,
        )
        return 2
    uhal.setLogLevelTo(uhal.LogLevel.WARNING)
    manager = uhal.ConnectionManager(f"file://{asked.connections}")
    trigger = Trigger(Ipbus(manager.getDevice(asked.device), asked.node))
    if asked.prescale:
        name, number = asked.prescale
        trigger.accept[name].prescale = int(number)
    for name, bit in trigger.accept.items():
        print(f"{name}: threshold {bit.threshold}, prescale {bit.prescale}")
    print(trigger.counters(), "errors:", trigger.errors() or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
