"""Parts by the vendors' ordering codes, and parts of the user's own."""

from pathlib import Path

import pytest
from conftest import SMALL_TOML

import trigger
from trigger import TriggerError
from trigger.fixedpoint.types import Fixed
from trigger.spec.parts import families, part, parts, utilisation
from trigger.spec.spec import parse
from trigger.synthesis.result import Synthesis

VU13P = (1728000, 3456000, 12288, 2688)
UNKNOWN = (None,) * 4
CODES = {
    "xcvu13p-fsga2577-1-i": ("Virtex UltraScale+", VU13P),
    "XCVU13P-FLGA2577-2-E": ("Virtex UltraScale+", VU13P),
    "xcvu37p-fsvh2892-2L-e": ("Virtex UltraScale+", UNKNOWN),
    "xcu55c-fsvh2892-2L-e": ("Alveo UltraScale+", UNKNOWN),
    "xcku040-fbva676-1-c": ("Kintex UltraScale", (242400, 484800, 1920, 600)),
    "xcvu190-flgc2104-2-e": ("Virtex UltraScale", UNKNOWN),
    "xqku060-rfa1156-1-i": ("Kintex UltraScale", UNKNOWN),
    "xcau25p-ffvb676-2-e": ("Artix UltraScale+", UNKNOWN),
    "xczu19eg-ffvc1760-2-i": ("Zynq UltraScale+", UNKNOWN),
    "xck26-sfvc784-2LV-c": ("Zynq UltraScale+", UNKNOWN),
    "xczu48dr-ffvg1517-2-e": ("Zynq UltraScale+ RFSoC", UNKNOWN),
    "xcvc1902-vsva2197-2MP-e-S": ("Versal", UNKNOWN),
    "xcvp1802-lsvc4072-2MP-e-S": ("Versal", UNKNOWN),
    "xcve2302-sfva784-1LP-e-S": ("Versal", UNKNOWN),
    "xcvh1582-vsva3697-2MP-e-S-es1": ("Versal", UNKNOWN),
    "xc7vx690tffg1761-3": ("Virtex-7", (433200, 866400, 3600, 1470)),
    "xc7s50csga324-1": ("Spartan-7", UNKNOWN),
    "xc7z045ffg900-2": ("Zynq-7000", UNKNOWN),
    "xa7a50tcpg236-1Q": ("Artix-7", UNKNOWN),
    "10AS066N3F40E2SG": ("Arria 10", UNKNOWN),
    "10CX220YF780E5G": ("Cyclone 10 GX", UNKNOWN),
    "10CL025YU256C8G": ("Cyclone 10 LP", UNKNOWN),
    "1SG280HU2F50E2VG": ("Stratix 10", UNKNOWN),
    "1SM21BHU2F53E1VG": ("Stratix 10", UNKNOWN),
    "AGFB014R24A2E2V": ("Agilex 7", UNKNOWN),
    "AGIB027R29A1E2VR3": ("Agilex 7", UNKNOWN),
    "A5ED065BB32AE4SR0": ("Agilex 5", UNKNOWN),
}


@pytest.mark.parametrize("name", CODES)
def test_ordering_codes(name):
    """The family is what the code says; totals are those of a listed part of the device, or not
    known.
    """
    found = part(name)
    assert (found.name, found.family) == (name, CODES[name][0])
    assert (found.lut, found.ff, found.dsp, found.bram) == CODES[name][1]
    if found.vendor == "Intel":
        assert found.quartus == {"family": found.family, "device": name}
    else:
        assert bool(found.yosys) == (found.family != "Versal")


def test_every_listed_part_is_explained_by_its_family():
    by_code = {name: entry for name, entry in parts().items() if name != "Arria10"}  # hls4ml's name
    assert by_code
    for name, listed in by_code.items():
        moved = name.upper() if name.islower() else name.lower()
        assert part(moved) == listed._replace(name=moved)


@pytest.mark.parametrize(
    "name",
    ["", "xcvu13p", "xcvu13p-flga2577", "xc7vx690t", "10AX115", "LFE5U-85F", "xcvu13p-2-e; x"],
)
def test_what_is_no_whole_code_is_refused_by_every_backend(name, tmp_path):
    with pytest.raises(TriggerError) as error:
        part(name)
    text = str(error.value)
    assert text.startswith(f"no part {name!r}")
    assert text.endswith(
        "(`trigger doctor --parts` lists all; any other AMD or Altera FPGA is accepted by "
        "its complete ordering code, with package and speed grade; [target.device] "
        "describes a custom one)"
    )
    graph = trigger.Graph((trigger.fixedpoint.ops.Input("inputs", (), (Fixed(True, 4, 2),)),))
    for write in (graph.to_hls4ml, graph.to_rtl):
        with pytest.raises(TriggerError) as error:
            write(tmp_path, part=name)
        assert str(error.value) == text
    assert not list(tmp_path.iterdir())


def target(text):
    toml = SMALL_TOML.replace('part = "xcvu9p-flga2104-2L-e"\n', "") + text
    return parse(toml, Path("trigger.toml")).target


def test_a_device_of_ones_own():
    own = target(
        'part = "myboard-1"\n[target.device]\nfamily = "Versal"\nlut = 1000\ndsp = 0\ndelay = 1.5\n'
    ).fpga
    assert own[:4] == ("myboard-1", "Versal", "AMD", 1.5)
    assert (own.lut, own.ff, own.dsp, own.bram) == (1000, None, 0, None)
    intel = target('part = "10ABC"\n[target.device]\nfamily = "Arria 10"\n').fpga
    assert (intel.delay, intel.quartus) == (1.6, {"family": "Arria 10", "device": "10ABC"})
    other = target('part = "x"\n[target.device]\nfamily = "PolarFire"\ndelay = 2\n').fpga
    assert (other.vendor, other.yosys, other.quartus, other.delay) == ("", None, None, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'part = "x"\n[target.device]\nfamily = "Versl"\n',
            "target.device: family is 'Versl', whose delay is unknown; did you mean "
            "'Versal'?; set delay too: its logic delay relative to UltraScale+ of "
            "speed grade -2",
        ),
        (
            'part = "a b"\n[target.device]\nfamily = "Versal"\n',
            "target.part: 'a b' cannot name a part; use letters, digits and . + - _",
        ),
        (
            'part = "x"\n[target.device]\nfamily = "Versal"\nluts = 5\n',
            "unknown key target.device.luts; did you mean 'lut'?",
        ),
    ],
)
def test_devices_that_cannot_be(text, message):
    with pytest.raises(TriggerError) as error:
        target(text)
    assert str(error.value).splitlines()[0] == f"trigger.toml: {message}"


def test_utilisation():
    fpga = part("xcku040-fbva676-1-c")
    result = Synthesis("Yosys", "synthesised", "RTL", fpga.name, lut=2424, ff=4848, dsp=0)
    assert utilisation(result, fpga) == {"lut": 0.01, "ff": 0.01, "dsp": 0.0, "bram": None}
    elsewhere = utilisation(result._replace(part="LFE5U"), fpga)
    assert set(elsewhere.values()) == {None}
    versal = part("xcvc1902-vsva2197-2MP-e-S")
    assert set(utilisation(result._replace(part=versal.name), versal).values()) == {None}


def test_families_say_what_is_needed():
    assert {entry["vendor"] for entry in families().values()} == {"AMD", "Intel"}
    for name, entry in families().items():
        assert entry["delay"] >= 1, name
