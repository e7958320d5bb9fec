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

# The keywords of SystemVerilog (IEEE 1800-2017) and VHDL-2008, as far as C++ does not have them.
_HDL_RESERVED = """
abs accept_on access after alias all always always_comb always_ff always_latch any architecture array assert assign assume
attribute automatic before begin bind bins binsof bit block body buf buffer bufif0 bufif1 bus byte casex casez cell chandle
checker clocking cmos component config configuration constant constraint context cover covergroup coverpoint cross deassign
default defparam design disable disconnect dist downto edge elsif end endcase endchecker endclass endclocking endconfig
endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence endspecify
endtable endtask entity event eventually exit expect extends fairness file final first_match force foreach forever fork
forkjoin function generate generic genvar global group guarded highz0 highz1 iff ifnone ignore_bins illegal_bins implements
implies import impure in incdir include inertial initial inout input inside instance integer interconnect interface intersect
is join join_any join_none label large let liblist library linkage literal local localparam logic longint loop macromodule
map matches medium mod modport module nand negedge nettype nexttime nmos nor noshowcancelled not notif0 notif1 null of on open
others out output package packed parameter pmos port posedge postponed primitive priority procedure process program property
pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence range rcmos real
realtime record ref reg reject reject_on release rem repeat report restrict restrict_guarantee rnmos rol ror rpmos rtran
rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared select sequence severity shared shortint
shortreal showcancelled signal sla sll small soft solve specify specparam sra srl string strong strong0 strong1 subtype super
supply0 supply1 sync_accept_on sync_reject_on table tagged task then throughout time timeprecision timeunit to tran tranif0
tranif1 transport tri tri0 tri1 triand trior trireg type unaffected unique unique0 units until until_with untyped use var
variable vectored view vmode vpkg vprop vunit wait wait_order wand weak weak0 weak1 when wildcard wire with within wor xnor
bench
"""


def as_hdl_name(name: str) -> str:
    """The name of a core: one that a hardware language reserves gets an ending."""
    return f"{name}_core" if name.lower() in (*_HDL_RESERVED.split(), *_RESERVED.split()) else name


def as_identifier(name: str) -> str:
    """The name with everything replaced that an identifier cannot have; one that C++ or hls4ml reserves gets an ending."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    name = name if name[:1].isalpha() else f"layer_{name}"
    return f"{name}_" if name in (*_RESERVED.split(), "input") else name


def identifier(name: str) -> str:
    """``name`` itself, where it can name a C++ function; raises ValueError where it cannot."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name, re.ASCII):
        raise ValueError(
            f"{name!r} cannot name a C++ function; use letters, digits and single underscores, a letter first"
        )
    if name in _RESERVED.split():
        raise ValueError(f"{name!r} cannot name a C++ function: C++ or hls4ml uses the word")
    return name
