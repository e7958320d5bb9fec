"""Projects of hls4ml that this program did not write."""

import keras
import numpy as np


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


OLD_DEFINES = """
//hls-fpga-machine-learning insert numbers
#define N_INPUT_1_1 2
#define N_LAYER_2 1

//hls-fpga-machine-learning insert layer-precision
typedef ap_fixed<16,6> model_default_t;
typedef ap_fixed<16,6> input_t;
typedef ap_fixed<17,7,AP_RND_CONV,AP_SAT> result_t;
"""


NEW_TOP = "void tiny(input_t fc1_input[2], result_t layer2_out[1]);"


def write_project(folder, defines, top, source="", name="tiny"):
    """The sources of a project without hls4ml's settings and bridge."""
    folder.mkdir(parents=True)
    (folder / "defines.h").write_text(
        f'#ifndef D_\n#define D_\n#include "ap_fixed.h"\n#include "ap_int.h"\n{defines}\n#endif\n'
    )
    (folder / f"{name}.h").write_text(f'#pragma once\n#include "defines.h"\n{top}\n')
    (folder / f"{name}.cpp").write_text(f'#include "{name}.h"\n{source}\n')


SUM = "    layer2_out[0] = fc1_input[0] + fc1_input[1];"


def saved(folder, *layers, kernel=((1,), (1,)), inputs=2):
    """A network of these layers, whose Dense has this kernel and no bias."""
    x = source = keras.Input((inputs,))
    for layer in layers:
        x = layer(x)
    network = keras.Model(source, keras.layers.Dense(1, use_bias=False, name="sum")(x))
    network.get_layer("sum").set_weights([np.array(kernel)])
    network.save(folder / "network.keras")
    return folder / "network.keras"
