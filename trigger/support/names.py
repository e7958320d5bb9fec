"""Names for generated C++ and HDL."""

import errno
import re
import unicodedata

from trigger.errors import quoted

# The keywords of C++ up to C++20, and the namespaces that the firmware uses.
_RESERVED = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
char8_t class compl concept
const const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default
delete do double
dynamic_cast else enum explicit export extern false final float for friend goto if inline int long
main mutable namespace new
noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
requires return short signed
sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename union
unsigned using virtual void volatile wchar_t while xor xor_eq
hls nnet std
"""

# Names that generated projects use otherwise, ignoring case: files, variables, CMake and C.
_TAKEN = """
x y i in out inputs result defines parameters weights operations callers cmssw
accept_bits
trigger_framer trigger_working_point trigger_registers register_crossing emp_payload
clean help install test
aliases arpa complex cpio ctype dirent dlfcn elf endian err error fcntl features fenv float fmtmsg
glob
inttypes iso646 langinfo libgen limits link locale malloc math memory netdb nl_types paths poll
pthread pwd regex sched search
semaphore setjmp signal spawn stab stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib
stdnoreturn string strings
syslog tar termios tgmath threads time uchar ucontext unistd utime values wait wchar wctype
daylight environ file signgam timezone tzname
"""
# Macros of included headers and of g++, which are replaced wherever they appear.
_MACROS = """
AF_REF_REL_OP_WITH_AP_INT AF_REF_REL_OP_WITH_INT AIO_PRIO_DELTA_MAX ALL_OP_REL_WITH_INT
ALL_OP_WITH_FLOAT
APFX_IEEE_DOUBLE_E_MAX APFX_IEEE_DOUBLE_E_MIN BC_BASE_MAX BC_DIM_MAX BC_SCALE_MAX BC_STRING_MAX BIAS
BIG_ENDIAN
BIT_WIDTH_UPPER_LIMIT BOOL_MAX BOOL_WIDTH BUFSIZ BYTE_ORDER CHARCLASS_NAME_MAX COLL_WEIGHTS_MAX
CONCAT_SHIFT_WITH_INT CSIGNAL
DATA_PACK_PRAGMA DATA_PACK_TXT DECIMAL_DIG DELAYTIMER_MAX DIV_ROUNDUP DOUBLE_BIAS DOUBLE_CMP_AF
DOUBLE_EXP DOUBLE_MAN EDEADLK
EHWPOISON EOF EOPNOTSUPP EWOULDBLOCK EXPAND_STRING EXPR_NEST_MAX FILENAME_MAX FLOAT_BIAS FLOAT_EXP
FLOAT_MAN FOPEN_MAX
HALF_BIAS HALF_EXP HALF_MAN HOST_NAME_MAX HUGE_VAL INFINITY INLINE IOV_MAX LINE_MAX LITTLE_ENDIAN
LLVM_SUPPORT_MATHEXTRAS_H
LOGIN_NAME_MAX L_ctermid L_cuserid L_tmpnam MATH_ERREXCEPT MATH_ERRNO MAX MAXFLOAT MAX_CANON
MAX_INPUT MAX_MODE MB_CUR_MAX
MB_LEN_MAX MIN MQ_PRIO_MAX NAME_MAX NAN NDEBUG NFDBITS NGROUPS_MAX NL_ARGMAX NL_LANGMAX NL_MSGMAX
NL_NMAX NL_SETMAX
NL_TEXTMAX NULL NZERO PATH_MAX PDP_ENDIAN PIPE_BUF PRAGMA_DATA_PACK P_tmpdir RAND_MAX REF_BIN_OP
REF_BIN_OP_WITH_INT
RENAME_EXCHANGE RENAME_NOREPLACE RENAME_WHITEOUT RE_DUP_MAX RTSIG_MAX SEM_VALUE_MAX SIZE_MAX
SIZE_WIDTH SNAN SSIZE_MAX
STRINGIFY TIMER_ABSTIME TIME_UTC TMP_MAX TTY_NAME_MAX WCONTINUED WEIGHTS_DIR WEOF WEXITED
WEXITSTATUS WIFCONTINUED WIFEXITED
WIFSIGNALED WIFSTOPPED WNOHANG WNOWAIT WORD_BIT WSTOPPED WSTOPSIG WTERMSIG WUNTRACED XATTR_LIST_MAX
XATTR_NAME_MAX
XATTR_SIZE_MAX X_HLS_STREAM_SIM_H alloca assert assert_perror errno i386 issubnormal linux
math_errhandling offsetof
sched_priority stderr stdin stdout strdupa strndupa unix
"""
# Families of names: types, constants of layers, and the headers of hls4ml.
_TAKEN_FAMILY = re.compile(
    r"\w+_t|(ac|ap|hls|nnet|std)_\w+|(layer|config|[bsw])\d+(_\w+)?|n_(input|layer)_\w+"
    r"|trigger_(bridge|nodes|(batch|csim|project|rtl|trace)(_\w+)?)"
)
_MACRO_FAMILY = re.compile(
    r"(ADJ|AP|ATOMIC|CHAR|CLOCKS?|CLONE|CPU|DBL|EXIT|FD|FE|FL|FLT|FP|FX|LC|LDBL|LLONG|LONG|M|MOD"
    r"|NNET|OP|PTHREAD|PTRDIFF|SC"
    r"|SCHAR|SCHED|SEEK|SHRT|SIG|STA|UCHAR|U?INT[A-Z0-9]*|ULLONG|ULONG|USHRT|WCHAR|WINT)_[A-Z0-9_]+"
    r"|M_[A-Z0-9_]+[fl](\d+x?)?|(HUGE_VAL|S?NAN)(F|L|_?F\d+X?)|(be|le)\d\dtoh|hto[bl]e\d\d"
    r"|pthread_cleanup_(pop|push)\w*"
)
_LONGEST = 64
_LONGEST_TEXT = 128
# Unicode categories that are invisible in a line: control, format, lone surrogates, line ends.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")

# The keywords of SystemVerilog (IEEE 1800-2017) and VHDL-2008 that are not C++ keywords.
_HDL_RESERVED = """
abs accept_on access after alias all always always_comb always_ff always_latch any architecture
array assert assign assume
attribute automatic before begin bind bins binsof bit block body buf buffer bufif0 bufif1 bus byte
casex casez cell chandle
checker clocking cmos component config configuration constant constraint context cover covergroup
coverpoint cross deassign
default defparam design disable disconnect dist downto edge elsif end endcase endchecker endclass
endclocking endconfig
endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram
endproperty endsequence endspecify
endtable endtask entity event eventually exit expect extends fairness file final first_match force
foreach forever fork
forkjoin function generate generic genvar global group guarded highz0 highz1 iff ifnone ignore_bins
illegal_bins implements
implies import impure in incdir include inertial initial inout input inside instance integer
interconnect interface intersect
is join join_any join_none label large let liblist library linkage literal local localparam logic
longint loop macromodule
map matches medium mod modport module nand negedge nettype nexttime nmos nor noshowcancelled not
notif0 notif1 null of on open
others out output package packed parameter pmos port posedge postponed primitive priority procedure
process program property
pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence range rcmos real
realtime record ref reg reject reject_on release rem repeat report restrict restrict_guarantee rnmos
rol ror rpmos rtran
rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared select sequence
severity shared shortint
shortreal showcancelled signal sla sll small soft solve specify specparam sra srl string strong
strong0 strong1 subtype super
supply0 supply1 sync_accept_on sync_reject_on table tagged task then throughout time timeprecision
timeunit to tran tranif0
tranif1 transport tri tri0 tri1 triand trior trireg type unaffected unique unique0 units until
until_with untyped use var
variable vectored view vmode vpkg vprop vunit wait wait_order wand weak weak0 weak1 when wildcard
wire with within wor xnor
bench
ieee numeric_std numeric_bit std_logic_1164 textio top unisim vcomponents work
binop mux multiplier negative shift_adder ternary_adder
"""
# Vendor cells, which synthesis must find under their own names.
_CELLS = re.compile(
    r"lut\d(_\w+)?|fd[a-z]{2}|carry\d|muxf\d|srl\w*|ram\w*|dsp\d\w*|buf\w*|inv|gnd|vcc|ff\w*"
)


def as_hdl_name(name: str) -> str:
    """The name of a core, with a suffix if an HDL or a vendor cell uses it."""
    word = name.lower()
    taken = word in (*_HDL_RESERVED.split(), *_RESERVED.split()) or _CELLS.fullmatch(word)
    return f"{name}_core" if taken else name


def as_identifier(name: str) -> str:
    """The name as an identifier, with a suffix if C++, a macro or hls4ml uses it."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    name = name if name[:1].isalpha() else f"layer_{name}"
    is_taken = (
        name in (*_RESERVED.split(), "input") or re.match(r"(ac|ap)_", name) or _is_macro(name)
    )
    return f"{name}_" if is_taken else name


def identifier(name: str, longest: int = _LONGEST) -> str:
    """``name`` itself. Raises ValueError if it cannot name a project in every language."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name, re.ASCII):
        raise ValueError(
            f"{quoted(name)} cannot name a C++ function; use letters, digits and single "
            f"underscores, a letter first"
        )
    if len(name) > longest:
        raise ValueError(
            f"the name {name[:20]!r}... has {len(name)} characters; use at most {longest}"
        )
    if _is_taken(name):
        raise ValueError(
            f"{quoted(name)} cannot name a C++ function: it is reserved by "
            f"C++ or hls4ml; use another name"
        )
    return name


def as_project(text: str) -> str:
    """A valid project name close to any text, such as a file name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "_".join(re.findall(r"[A-Za-z0-9]+", plain))[: _LONGEST - len("network__network")].strip(
        "_"
    )
    if not name[:1].isalpha():
        name = f"network_{name}" if name else "network"
    others = (f"{name}_network", f"network_{name}", f"network_{name}_network")
    return next(other for other in (name, *others) if not _is_taken(other))


def printable(text: str) -> str:
    """``text`` itself, the name of a feature, a class, an accept bit or the like.

    Raises ValueError unless it is printable text on one line.
    """
    if not text:
        raise ValueError("a name must not be empty")
    hidden = next((character for character in text if not character.isprintable()), None)
    if hidden is not None:
        raise ValueError(
            f"{quoted(text)} has the character {hidden!r}; names must be printable text on one line"
        )
    if len(text) > _LONGEST_TEXT:
        raise ValueError(
            f"the name {text[:20]!r}... has {len(text)} characters; use at most {_LONGEST_TEXT}"
        )
    return text


def file_name(text: str) -> str:
    """``text`` itself. Raises ValueError if it is no path: empty, or with control characters."""
    if not text:
        raise ValueError("a file name must not be empty")
    return visible(text)


def visible(text: str, besides: str = "") -> str:
    """``text`` itself. Raises ValueError for invisible characters other than ``besides``."""
    hidden = next(
        (c for c in text if unicodedata.category(c) in _HIDDEN and c not in besides), None
    )
    if hidden is not None:
        raise ValueError(
            f"{quoted(text)} has the character {hidden!r}, which is invisible; remove it"
        )
    return text


def escaped(text: str) -> str:
    """``text`` with escapes for characters that control a terminal."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in _HIDDEN else repr(c)[1:-1] for c in text
    )


def _is_taken(name: str) -> bool:
    word = name.lower()
    return (
        name in _RESERVED.split()
        or word in (*_TAKEN.split(), *_MACROS.lower().split())
        or _TAKEN_FAMILY.fullmatch(word) is not None
        or _is_macro(name)
    )


def _is_macro(name: str) -> bool:
    return (
        name in (*_MACROS.split(), *errno.errorcode.values())
        or _MACRO_FAMILY.fullmatch(name) is not None
    )
