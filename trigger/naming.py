"""Names that become names in C++ and HDL."""

import re

# The keywords of C++17, and the namespaces that the firmware uses.
_RESERVED = """
alignas alignof and asm auto bool break case catch char class const constexpr continue decltype default delete do double else
enum explicit export extern false final float for friend goto if inline int long main mutable namespace new noexcept not
nullptr operator or private protected public register return short signed sizeof static struct switch template this throw
true try typedef typename union unsigned using virtual void volatile while xor
hls nnet std
"""


def as_identifier(name: str) -> str:
    """The name with everything replaced that an identifier cannot have; one that C++ or hls4ml reserves gets an ending."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    name = name if name[:1].isalpha() else f"layer_{name}"
    return f"{name}_" if name in (*_RESERVED.split(), "input") else name


def identifier(name: str) -> str:
    """``name`` itself, where it can name a C++ function; raises ValueError where it cannot."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name, re.ASCII):
        raise ValueError(f"{name!r} cannot name a C++ function; use letters, digits and single underscores, a letter first")
    if name in _RESERVED.split():
        raise ValueError(f"{name!r} cannot name a C++ function: C++ or hls4ml uses the word")
    return name
