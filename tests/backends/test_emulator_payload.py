"""Emulators of a payload: link words in, accept bits out, behind the interface of CMS' loader."""

import copy
import ctypes
import importlib.util
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trigger.backends.emulator import write
from trigger.fixedpoint import evaluate, types
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed
from trigger.spec.emulator_tables import AcceptBit, EmulatedPayload, Emulator, Interface
from trigger.spec.links import LinkMap, Place, pack

PRODUCER = Path(__file__).with_name("emulator_payload.cpp")
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
INPUTS = (Fixed(True, 9, 4), Fixed(False, 7, 3), Fixed(True, 33, 2))
FEATURES, SCORES = ["a", "b", "c"], ["p", "q"]
# Two links, three frames, of which the second and one word of the others have no input.
LINKS = LinkMap(
    tuple(
        Place(name, link, word, low, kind)
        for name, (link, word, low), kind in zip(
            FEATURES, ((1, 0, 31), (0, 2, 1), (0, 2, 8)), INPUTS, strict=True
        )
    ),
    links=2,
    words=3,
    word_bits=41,
)
WORDS = LINKS.words * LINKS.links


def network(factor):
    builder = Builder(INPUTS)
    weights = constant(factor * np.array([[1, -2], [0.25, 1], [-1, 2]]))
    return builder.graph(builder.dense("sums", "inputs", weights, constant(np.array([0.5, -1]))))


def exported(folder, graph, version, bounds, links=LINKS):
    accept = (AcceptBit("loose", 1, bounds[0]), AcceptBit("tight", 0, bounds[1]))
    interface = Interface(payload=EmulatedPayload(links, accept))
    write(graph, folder, "net", FEATURES, SCORES, version, interface)
    return folder


def make(folder, *arguments):
    subprocess.run(["make", "-s", "-C", folder, *arguments], check=True)


def binding(folder):
    spec = importlib.util.spec_from_file_location(folder.name, folder / "net_emulator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_events(count):
    low, high = types.bounds(INPUTS)
    between = np.random.default_rng(1).integers(low, high + 1, (count - 2, 3))
    return np.concatenate([[low, high], between])


def noisy_words(x):
    """Other bits than those of the inputs are random, too."""
    full = np.uint64((1 << LINKS.word_bits) - 1)
    ones = np.full(x.shape, -1)
    noise = np.random.default_rng(2).integers(0, 1 << 41, (len(x), 3, 2), dtype=np.uint64)
    return pack(LINKS, x) | (noise & ~pack(LINKS, ones) & full)


def every(passes, prescale):
    """Of the events that pass, the first and each ``prescale``-th after it."""
    chosen = np.flatnonzero(passes)[::prescale]
    return np.isin(np.arange(len(passes)), chosen)


def test_a_producer_with_two_versions_and_four_threads(tmp_path):
    threshold, prescale, bounds = 100, 3, (7, -40)
    x = random_events(2001)
    half = len(x) // 2
    noisy_words(x).tofile(tmp_path / "words.bin")
    files = [tmp_path / "words.bin"]
    for version, graph in {"v1": network(1), "v2": network(-0.5)}.items():
        folder = exported(tmp_path / version, graph, version, bounds)
        make(folder, f"CXXFLAGS={SANITIZED}")
        y = evaluate.run(graph, x)
        tight = np.concatenate(
            [every(y[:half, 0] >= threshold, prescale), y[half:, 0] >= bounds[1]]
        )
        accept = np.stack([y[:, 1] >= bounds[0], tight], axis=1)
        assert 0 < accept[:half, 1].sum() < half and 0 < accept[:, 0].sum() < len(x)
        files += [tmp_path / f"{version}.y", tmp_path / f"{version}.accept"]
        y.tofile(files[-2])
        accept.astype(np.uint8).tofile(files[-1])
    write(network(1), tmp_path / "without", "net", FEATURES, SCORES, "v3")
    make(tmp_path / "without", f"CXXFLAGS={SANITIZED}")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", *SANITIZED.split()]
    include = [f"-I{tmp_path / 'v1'}", f"-I{PRODUCER.parent}"]
    defined = [f"-DWORDS={WORDS}", "-DWORD_BITS=41", "-DOUTPUTS=2"]
    defined += [f"-DTHRESHOLD={threshold}", f"-DPRESCALE={prescale}"]
    program = tmp_path / "p"
    command = ["g++", *flags, *include, *defined, PRODUCER, "-o", program, "-ldl", "-pthread"]
    subprocess.run(command, check=True)
    libraries = [tmp_path / version / "net" for version in ("v1", "v2", "without")]
    result = subprocess.run(
        [program, *files, *libraries], capture_output=True, text=True, check=False
    )
    raw = "a pointer to {} integers, std::int64_t * or std::int32_t *, not "
    words = f"{WORDS} link words, std::uint64_t * or std::vector<std::uint64_t>"
    takes = f"net: prepare_input takes {words}, or {raw.format(3)}"
    gives = f"net: read_result takes 2 accept bits, bool *, or {raw.format(2)}"
    most = [1 << kind.width for kind in network(1).output.types]
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.splitlines() == [
        "2001 events, 0 wrong",
        f"loose {bounds[0]} 1",
        f"tight {bounds[1]} 1",
        f"{most[1]} -{most[1]} {2**32 - 1}",
        "net: loose: prescale -1 does not fit 32 bits",
        f"net: loose: prescale {2**32} does not fit 32 bits",
        "net: no accept bit 'lose'; there are loose, tight",
        "net: no accept bit ''; there are loose, tight",
        f"{2**32 - 1}",
        f"net: prepare_input: {WORDS - 1} link words; an event has {WORDS}",
        "net: a link word has more than 41 bits",
        "net: predict has no input: call prepare_input first",
        f"{takes}a null pointer",
        f"{takes}a null pointer",
        f"{takes}std::vector<long, std::allocator<long> >",
        "net: read_result has no result: predict did not run, or failed, since the last prepare_input",
        f"{gives}a null pointer",
        f"{gives}bool",
        "no payload",
    ]


def test_one_network_with_other_thresholds_or_links(tmp_path):
    """Its functions have other names, so that a process may hold both."""
    moved = LINKS._replace(links=3)
    asked = {"a": ((7, -40), LINKS), "b": ((8, -40), LINKS), "c": ((7, -40), moved)}
    held = {}
    for name, (bounds, links) in asked.items():
        folder = exported(tmp_path / name, network(1), None, bounds, links)
        make(folder, "libnet.so")
        held[name] = ctypes.CDLL(str(folder / "libnet.so"), mode=ctypes.RTLD_GLOBAL)
    x = random_events(50)
    for name, (bounds, links) in asked.items():
        emulator = binding(tmp_path / name)
        np.testing.assert_array_equal(emulator.unpack(pack(links, x)), x)
        found = [one.threshold for one in emulator.Shell().accept.values()]
        assert found == list(bounds)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    folder = exported(tmp_path_factory.mktemp("net"), network(1), "v1", (7, -40))
    make(folder, "libnet.so")
    return binding(folder)


def test_the_binding_unpacks_words(emulator):
    x = random_events(500)
    np.testing.assert_array_equal(emulator.unpack(noisy_words(x)), x)
    np.testing.assert_array_equal(emulator.unpack(pack(LINKS, x).astype(np.int64)), x)
    wide = pack(LINKS, x)
    wide[3, 1, 0] = 1 << 41
    below = pack(LINKS, x).astype(np.int64)
    below[2, 0, 1] = -1
    for words, message in (
        (wide, "event 3 has a link word of more than 41 bits"),
        (below, "event 2 has a link word below 0"),
        (
            wide[:, :2],
            "uint64 of shape (500, 2, 2); link words are integers of shape (events, 3, 2)",
        ),
        (
            wide * 1.0,
            "float64 of shape (500, 3, 2); link words are integers of shape (events, 3, 2)",
        ),
    ):
        with pytest.raises(ValueError, match="link word") as error:
            emulator.unpack(words)
        assert str(error.value) == message


def test_words_of_64_bits(tmp_path):
    """An input may end with the word."""
    places = [place._replace(low=low) for place, low in zip(LINKS.places, (55, 1, 31), strict=True)]
    links = LINKS._replace(places=tuple(places), word_bits=64)
    folder = exported(tmp_path / "wide", network(1), "v1", (7, -40), links)
    make(folder, "libnet.so")
    x = random_events(500)
    words = pack(links, x)
    words[:, 1] = np.uint64(2**64 - 1)
    assert words[1, 2, 0] >> 63 == 0 and words[0, 2, 0] >> 63 == 1
    np.testing.assert_array_equal(binding(folder).unpack(words), x)


def test_the_binding_decides(emulator):
    y = emulator.run(random_events(1000))
    shell = emulator.Shell()
    assert [(one.threshold, one.prescale) for one in shell.accept.values()] == [(7, 1), (-40, 1)]
    expected = np.stack([y[:, 1] >= 7, y[:, 0] >= -40], axis=1)
    np.testing.assert_array_equal(shell.decide(y), expected)
    loose = shell.accept["loose"]
    middle = np.sort(y[:, 1])[498]
    loose.threshold, loose.prescale = middle, np.int32(5)
    assert (loose.threshold, loose.prescale) == (middle, 5)
    passes = y[:, 1] >= middle
    assert np.count_nonzero(passes) % 5
    for _ in range(2):  # a prescale that is written again begins again
        parts = [shell.decide(part)[:, 0] for part in np.split(y, [1, 400, 402])]
        np.testing.assert_array_equal(np.concatenate(parts), every(passes, 5))
        loose.prescale = 5
    loose.prescale = 0
    assert not shell.decide(y)[:, 0].any()
    shell.reset()
    np.testing.assert_array_equal(shell.decide(y), expected)
    other = emulator.Shell().accept["tight"]
    other.threshold = 12
    assert (other.threshold, shell.accept["tight"].threshold) == (12, -40)


def test_the_binding_refuses(emulator):
    loose = emulator.Shell().accept["loose"]
    for name, value, kind, message in (
        ("prescale", -1, ValueError, "loose: prescale -1 does not fit 32 bits"),
        ("prescale", 1 << 32, ValueError, "loose: prescale 4294967296 does not fit 32 bits"),
        ("prescale", 1.0, TypeError, "loose: prescale: 1.0 is not an integer"),
        ("threshold", 1 << 63, ValueError, f"loose: threshold {1 << 63} does not fit 64 bits"),
        ("threshold", -(1 << 63) - 1, ValueError, f"loose: threshold -{(1 << 63) + 1} does not fit 64 bits"),
        ("threshold", "1", TypeError, "loose: threshold: '1' is not an integer"),
    ):  # fmt: skip
        with pytest.raises(kind, match="loose") as error:
            setattr(loose, name, value)
        assert str(error.value) == message
    assert (loose.threshold, loose.prescale) == (7, 1)
    with pytest.raises(AttributeError, match="'Accept' object has no attribute 'prescal'"):
        loose.prescal = 2
    with pytest.raises(KeyError) as missing:
        emulator.Shell().accept["lose"].prescale = 2
    assert missing.value.args == ("no accept bit 'lose'; there are loose, tight",)
    for y in (np.zeros((2, 3), dtype=np.int64), np.zeros((2, 2))):
        with pytest.raises(ValueError, match="scores") as error:
            emulator.Shell().decide(y)
        assert str(error.value) == (
            f"{y.dtype} of shape {y.shape}; the scores are int64 of shape (events, 2)"
        )


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_shell_has_no_copy(emulator, duplicate):
    """Two objects with one memory would free it twice."""
    with pytest.raises(TypeError) as error:
        duplicate(emulator.Shell())
    assert str(error.value) == (
        "a Shell cannot be copied or sent to another process; make one there"
    )


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_cmake_builds_both_libraries(tmp_path):
    folder = exported(tmp_path / "net", network(1), "v1", (7, -40))
    made = tmp_path / "made"
    subprocess.run(["cmake", "-S", folder, "-B", made], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", made], check=True, capture_output=True)
    assert (made / "net.so").is_file()
    shutil.copy(made / "libnet.so", folder)
    x = random_events(50)
    np.testing.assert_array_equal(binding(folder).unpack(pack(LINKS, x)), x)


def test_names_of_any_text(tmp_path):
    """Accept bits have any printable name, in C++ and in Python, also beside types of callers."""
    accept = tuple(AcceptBit(name, 0, k) for k, name in enumerate(('η < "2"', "a\\b")))
    types_too = Emulator(input="float*", output="std::array<double, 2>").handed
    interface = types_too._replace(payload=EmulatedPayload(LINKS, accept))
    write(network(1), tmp_path / "net", "net", FEATURES, SCORES, "v1", interface)
    make(tmp_path / "net")
    shell = binding(tmp_path / "net").Shell()
    assert {name: one.threshold for name, one in shell.accept.items()} == {
        'η < "2"': 0,
        "a\\b": 1,
    }
