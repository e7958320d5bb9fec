"""The start of the program against that of Python alone, in one run; ends with status 1 above a limit.

Processor time, the least of several runs, so that other work on the machine changes little.
"""

import argparse
import resource
import subprocess
import sys

# What is started, and the most of Python's own time that it may take.
COMMANDS = {
    "python -c pass": (["-c", "pass"], 1.0),
    "import trigger": (["-c", "import trigger"], 5.0),
    "trigger --version": (["-m", "trigger", "--version"], 20.0),
    "trigger --help": (["-m", "trigger", "--help"], 20.0),
    "trigger build --help": (["-m", "trigger", "build", "--help"], 30.0),
}


def seconds(arguments: list[str]) -> float:
    """The processor time of one start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="starts of each command")
    runs = parser.parse_args().runs
    # One after the other in turn, so that a disturbance meets all.
    times = [[seconds(arguments) for arguments, _ in COMMANDS.values()] for _ in range(runs)]
    least = [min(column) for column in zip(*times, strict=True)]
    print("| start of | ms | times Python alone | limit |\n|---|---:|---:|---:|")
    slow = False
    for (name, (_, limit)), time in zip(COMMANDS.items(), least, strict=True):
        ratio = time / least[0]
        slow |= ratio > limit
        print(f"| `{name}` | {1000 * time:.0f} | {ratio:.1f} | {limit:.0f} |")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
