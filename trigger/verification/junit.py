"""A verdict as JUnit XML, the form in which CI services read test results."""

import re
from xml.etree import ElementTree

from trigger.support.numbers import counted
from trigger.verification.compare import Verdict

# Characters that XML 1.0 cannot hold; tools use some of them to colour messages.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_junit(data: bytes) -> bool:
    """Whether these are the bytes of a file that ``to_junit`` made."""
    start = re.match(rb"<\?xml [^>]*>\s*<testsuite ([^>]*)>", data)
    return start is not None and b'name="trigger verify ' in start[1]


def to_junit(name: str, verdict: Verdict) -> str:
    """One test case per comparison; a difference is a failure with its witness, an aborted run an
    error.
    """
    failures = sum(bool(c.differing) for c in verdict.comparisons)
    errors = sum(bool(c.failure) for c in verdict.comparisons)
    counts = {
        "tests": str(len(verdict.comparisons)),
        "failures": str(failures),
        "errors": str(errors),
    }
    suite = ElementTree.Element("testsuite", {"name": f"trigger verify {name}", **counts})
    for c in verdict.comparisons:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": name, "name": f"{c.name} equals Keras"}
        )
        if c.failure:
            ElementTree.SubElement(case, "error", {"message": c.failure})
        elif c.differing:
            message = f"{c.differing} of {c.events} events differ"
            ElementTree.SubElement(case, "failure", {"message": message}).text = str(c.witness)
        else:
            ElementTree.SubElement(case, "system-out").text = f"{counted(c.events, 'event')}, equal"
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text) + "\n"
