"""What the conformance cases try: for each layer class of Keras the legal values of each constructor argument.

layer(NAME, shapes, base, values) declares a class. Of it, generate.py makes one case for each value of each argument (the
others as in base), then cases that cover pairs of values. `shapes` are input shapes without the batch, channels last;
a case with data_format "channels_first" gets them transposed. A list of shapes is a layer with several inputs.
What Keras itself rejects with a ValueError in a pair is no case; in a single value it is an error of this file.
generate.py fails, by name, for a class or an argument of the installed Keras that is neither here nor in EXCLUDED."""

LAYERS = {}  # class name -> (shapes, base, values, options)


def layer(name, shapes, base=None, values=None, **options):
    """options: explicit - whole argument sets, one case each; large - a second run with large inputs; integers - inputs
    are ints below this number; pairs - how many pair cases at most."""
    LAYERS[name] = (shapes, base or {}, values or {}, options)


# Modules of keras.layers that are not compared yet, each with its reason; of all others every class needs a spec.
EXCLUDED_MODULES = {
    "attention": "models in sequences.py", "rnn": "models in sequences.py", "preprocessing": "only those with a spec",
    "layer": "the base class", "input_spec": "no layer",
}
EXCLUDED = {
    "InputLayer": "in every case", "Input": "a function", "InputSpec": "no layer", "Layer": "the base class", "Lambda": "code",
    "Wrapper": "a base class", "Masking": "models in sequences.py", "ReversibleEmbedding": "compared later",
    "SpectralNormalization": "models in sequences.py", "FlaxLayer": "code", "JaxLayer": "code", "TFSMLayer": "code",
    "TorchModuleWrapper": "code",
}
# Arguments that mean nothing for inference, or are tested elsewhere. "Class.argument" or "*.argument".
EXCLUDED_ARGUMENTS = {
    "*.kwargs": "name, trainable and dtype are in COMMON", "*.name": "COMMON", "*.dtype": "COMMON",
    "*.lora_rank": "document", "*.lora_alpha": "document", "*.quantization_config": "quantized models come later",
    "EinsumDense.gptq_unpacked_column_size": "quantized models come later", "Embedding.weights": "not in the config",
    "*.noise_shape": "only at training", "*.seed": "only at training",
    "Embedding.mask_zero": "masks are compared later", "BatchNormalization.synchronized": "only at training",
    "Resizing.fill_mode": "Keras has one value",
}
# Arguments that every layer has: one case for each.
COMMON = {"name": ["nom_é"], "trainable": [False], "dtype": ["float64", "float16", "mixed_bfloat16"]}
# Values for arguments whose name ends so; they are saved but mean nothing for inference: one case with all of them.
INERT = {"_initializer": "he_normal", "_regularizer": "l2", "_constraint": "non_neg"}
INERT_VECTOR = {"beta_initializer": "ones", "gamma_initializer": "zeros", "bias_initializer": "ones",
                "moving_mean_initializer": "ones", "moving_variance_initializer": "zeros", "alpha_initializer": "ones",
                "embeddings_initializer": "zeros"}

BOTH = [True, False]
FORMATS = ["channels_last", "channels_first"]
SOME_ACTIVATIONS = ["linear", "relu", "tanh", "softmax", "gelu"]
# Functions of keras.activations that cannot be named alone, or are no activation.
NOT_ACTIVATIONS = {"get": "", "serialize": "", "deserialize": "", "threshold": "needs arguments that a name does not carry"}


def activation_names():
    import keras

    return sorted(n for n in dir(keras.activations) if n[0] != "_" and n not in NOT_ACTIVATIONS)


# ---- Core ------------------------------------------------------------------------------------------------------

layer("Dense", [(6,), (4, 6), (2, 3, 6)], {"units": 4},
      {"units": [1, 4, 33], "activation": activation_names(), "use_bias": BOTH}, pairs=12)
layer("EinsumDense", [(5, 8)], {"equation": "abc,cd->abd", "output_shape": (None, 4)},
      {"activation": SOME_ACTIVATIONS, "bias_axes": [None, "d", "bd"]}, bias_axes_shape=(5, 4),
      explicit=[{"equation": "abc,cd->abd", "output_shape": (5, 4), "bias_axes": "bd"},
                {"equation": "abc,cde->abde", "output_shape": (5, 2, 3), "bias_axes": "de"},
                {"equation": "...x,xy->...y", "output_shape": 7, "bias_axes": "y"},
                {"equation": "abc,bc->ab", "output_shape": 5, "bias_axes": "b"},
                {"equation": "abc,bcd->ad", "output_shape": 3},
                {"equation": "abc,bd->adc", "output_shape": (3, 8), "bias_axes": "c"},
                {"equation": "abc,c->abc", "output_shape": (5, 8), "bias_axes": "c"},
                {"equation": "abc,dbc->abd", "output_shape": (5, 2)},
                {"equation": "ab...,bd->ad...", "output_shape": (3, 8)},
                {"equation": "abc,de->abcde", "output_shape": (5, 8, 2, 3)}])
layer("Embedding", [(5,), (), (2, 3)], {"input_dim": 7, "output_dim": 4}, {"output_dim": [1, 4, 9], "input_dim": [7, 20]},
      integers=7)
layer("Identity", [(5,), (2, 3, 4)])
layer("Activation", [(6,), (3, 4, 2)], {"activation": "relu"}, {"activation": activation_names()}, large=True, pairs=30)
layer("Rescaling", [(5,), (4, 4, 3)], {"scale": 0.5}, {"scale": [0.5, -2, 1 / 255, 0], "offset": [0.0, -1.5, 3]},
      explicit=[{"scale": [0.5, 1, 2], "offset": [0.0, 0.1, -3.0], "@shape": (4, 4, 3)},
                {"scale": 2.0, "offset": [1.0, 2.0, 3.0], "@shape": (4, 4, 3)}])

# ---- Convolution -----------------------------------------------------------------------------------------------

BASE_CONV = {"filters": 4, "kernel_size": 3}
layer("Conv1D", [(9, 4), (12, 4), (7, 4)], BASE_CONV,
      {"filters": [1, 4, 8], "kernel_size": [1, 2, 3, 5, (4,)], "strides": [1, 2, 3], "padding": ["valid", "same", "causal"],
       "data_format": FORMATS, "dilation_rate": [1, 2, 3], "groups": [1, 2, 4], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=40)
layer("Conv2D", [(7, 8, 4), (9, 6, 4), (12, 12, 4)], BASE_CONV,
      {"filters": [1, 4, 8], "kernel_size": [1, 2, 3, 5, (2, 3), (5, 1)], "strides": [1, 2, 3, (2, 1), (1, 3)],
       "padding": ["valid", "same"], "data_format": FORMATS, "dilation_rate": [1, 2, (1, 2), (3, 1)], "groups": [1, 2, 4],
       "activation": SOME_ACTIVATIONS, "use_bias": BOTH}, pairs=60)
layer("Conv3D", [(5, 6, 7, 2), (6, 6, 6, 4)], {"filters": 2, "kernel_size": 2},
      {"filters": [1, 2, 4], "kernel_size": [1, 2, 3, (1, 2, 3)], "strides": [1, 2, (1, 2, 2)], "padding": ["valid", "same"],
       "data_format": FORMATS, "dilation_rate": [1, 2], "groups": [1, 2], "activation": SOME_ACTIVATIONS, "use_bias": BOTH},
      pairs=24)
layer("Conv1DTranspose", [(5, 3), (6, 4)], BASE_CONV,
      {"filters": [1, 4], "kernel_size": [1, 2, 3, 5], "strides": [1, 2, 3], "padding": ["valid", "same"],
       "output_padding": [None, 0, 1], "data_format": FORMATS, "dilation_rate": [1, 2], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=36, with_values={"output_padding": {"strides": 2}})
layer("Conv2DTranspose", [(4, 5, 3), (5, 5, 4)], BASE_CONV,
      {"filters": [1, 4], "kernel_size": [1, 2, 3, 4, (2, 3)], "strides": [1, 2, 3, (2, 1)], "padding": ["valid", "same"],
       "output_padding": [None, 0, 1, (1, 0)], "data_format": FORMATS, "dilation_rate": [1, 2, (1, 2)],
       "activation": SOME_ACTIVATIONS, "use_bias": BOTH}, pairs=48, with_values={"output_padding": {"strides": 2}})
layer("Conv3DTranspose", [(3, 4, 3, 2)], {"filters": 2, "kernel_size": 2},
      {"filters": [1, 2], "kernel_size": [1, 2, 3, (1, 2, 3)], "strides": [1, 2, (2, 1, 2)], "padding": ["valid", "same"],
       "output_padding": [None, 0, 1], "data_format": FORMATS, "dilation_rate": [1, 2], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=24, with_values={"output_padding": {"strides": 2}})
layer("DepthwiseConv1D", [(9, 4), (8, 3)], {"kernel_size": 3},
      {"kernel_size": [1, 2, 3, 5], "strides": [1, 2, 3], "padding": ["valid", "same"], "depth_multiplier": [1, 2, 3],
       "data_format": FORMATS, "dilation_rate": [1, 2], "activation": SOME_ACTIVATIONS, "use_bias": BOTH}, pairs=30)
layer("DepthwiseConv2D", [(7, 8, 4), (6, 6, 3)], {"kernel_size": 3},
      {"kernel_size": [1, 2, 3, (2, 3)], "strides": [1, 2, 3, (2, 1)], "padding": ["valid", "same"],
       "depth_multiplier": [1, 2, 3], "data_format": FORMATS, "dilation_rate": [1, 2, (1, 2)], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=40)
layer("SeparableConv1D", [(9, 4), (8, 3)], BASE_CONV,
      {"filters": [1, 4], "kernel_size": [1, 2, 3], "strides": [1, 2, 3], "padding": ["valid", "same"],
       "data_format": FORMATS, "dilation_rate": [1, 2], "depth_multiplier": [1, 2], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=30)
layer("SeparableConv2D", [(7, 8, 4), (6, 6, 3)], BASE_CONV,
      {"filters": [1, 4], "kernel_size": [1, 2, 3, (2, 3)], "strides": [1, 2, (2, 1)], "padding": ["valid", "same"],
       "data_format": FORMATS, "dilation_rate": [1, 2, (1, 2)], "depth_multiplier": [1, 2], "activation": SOME_ACTIVATIONS,
       "use_bias": BOTH}, pairs=36)

# ---- Pooling ---------------------------------------------------------------------------------------------------

SHAPES_1D, SHAPES_2D, SHAPES_3D = [(9, 3), (8, 2)], [(7, 8, 3), (6, 5, 2)], [(5, 6, 4, 2)]
SIZES_1D, SIZES_2D, SIZES_3D = [1, 2, 3], [1, 2, 3, (2, 3), (3, 1)], [1, 2, (1, 2, 3)]
STRIDES_1D, STRIDES_2D, STRIDES_3D = [None, 1, 2, 3], [None, 1, 2, 3, (2, 1)], [None, 1, 2, (1, 2, 1)]
for kind in ("Max", "Average"):
    for n, shapes, sizes, strides in ((1, SHAPES_1D, SIZES_1D, STRIDES_1D), (2, SHAPES_2D, SIZES_2D, STRIDES_2D),
                                      (3, SHAPES_3D, SIZES_3D, STRIDES_3D)):
        layer(f"{kind}Pooling{n}D", shapes, {"pool_size": 2},
              {"pool_size": sizes, "strides": strides, "padding": ["valid", "same"], "data_format": FORMATS}, pairs=20)
        layer(f"Global{kind}Pooling{n}D", shapes, {}, {"data_format": FORMATS, "keepdims": BOTH}, pairs=6)
        layer(f"Adaptive{kind}Pooling{n}D", shapes, {"output_size": 2},
              {"output_size": [1, 2, 3, 4] + ([(2, 3)] if n == 2 else []) + ([(1, 2, 3)] if n == 3 else []),
               "data_format": FORMATS}, pairs=8)

# ---- Normalization ---------------------------------------------------------------------------------------------

layer("BatchNormalization", [(6,), (5, 4), (4, 5, 3), (2, 3, 4, 2)], {},
      {"axis": [-1, 1], "momentum": [0.99, 0.5], "epsilon": [1e-3, 1e-6, 0.5], "center": BOTH, "scale": BOTH,
       "renorm": BOTH, "renorm_clipping": [None, {"rmax": 3.0, "rmin": 0.3, "dmax": 5.0}], "renorm_momentum": [0.99, 0.5]},
      pairs=20, with_values={"renorm_clipping": {"renorm": True}, "renorm_momentum": {"renorm": True}})
layer("LayerNormalization", [(6,), (5, 4), (4, 5, 3)], {},
      {"axis": [-1, 1, [1], [-1]], "epsilon": [1e-3, 1e-6, 0.5], "center": BOTH, "scale": BOTH}, pairs=16,
      explicit=[{"axis": [1, 2], "@shape": (4, 5, 3)}, {"axis": [-2, -1], "@shape": (4, 5, 3)},
                {"axis": [1, 3], "@shape": (4, 5, 3)}, {"axis": 2, "@shape": (4, 5, 3)}])
layer("GroupNormalization", [(6,), (5, 6), (4, 5, 6), (3, 2, 2, 6)], {"groups": 3},
      {"groups": [1, 2, 3, 6, -1], "axis": [-1], "epsilon": [1e-3, 1e-6, 0.5], "center": BOTH, "scale": BOTH}, pairs=16,
      explicit=[{"groups": 2, "axis": 1, "@shape": (4, 5, 6)}, {"groups": 5, "axis": 2, "@shape": (4, 5, 6)}])
layer("RMSNormalization", [(6,), (5, 4), (4, 5, 3)], {}, {"axis": [-1, 1], "epsilon": [1e-6, 0.1]}, pairs=6)
layer("UnitNormalization", [(6,), (5, 4), (4, 5, 3)], {}, {"axis": [-1, 1]},
      explicit=[{"axis": [1, 2], "@shape": (4, 5, 3)}, {"axis": [1, 2, 3], "@shape": (4, 5, 3)}])
layer("Normalization", [(6,), (5, 4), (4, 5, 3)], {}, {"axis": [-1, None], "invert": BOTH}, pairs=6,
      explicit=[{"mean": 0.5, "variance": 2.0, "axis": None}, {"mean": [0.5, 1.0, -3.0], "variance": [2.0, 1e-9, 0.3], "@shape": (4, 5, 3)},
                {"mean": [0.5, 1.0, -3.0], "variance": [2.0, 1.0, 0.3], "invert": True, "@shape": (4, 5, 3)},
                {"axis": (1, 3), "@shape": (4, 5, 3)}, {"axis": 1, "@shape": (4, 5, 3)}, {"axis": [1, 2], "@shape": (4, 5)}])

# ---- Activations -----------------------------------------------------------------------------------------------

layer("ReLU", [(6,), (3, 4, 2)], {}, {"max_value": [None, 6.0, 1, 0.0], "negative_slope": [0.0, 0.1, 2.0],
                                      "threshold": [0.0, 0.5, 1.5]}, large=True, pairs=12)
layer("LeakyReLU", [(6,), (3, 4, 2)], {}, {"negative_slope": [0.3, 0.0, 0.01, 1.5]}, large=True)
layer("PReLU", [(6,), (5, 4), (4, 5, 3)], {}, {"shared_axes": [None, [1]]}, large=True,
      explicit=[{"shared_axes": [1, 2], "@shape": (4, 5, 3)}, {"shared_axes": [2], "@shape": (4, 5, 3)}])
layer("ELU", [(6,), (3, 4, 2)], {}, {"alpha": [1.0, 0.5, 2]}, large=True)
layer("Softmax", [(6,), (3, 4), (3, 4, 2)], {}, {"axis": [-1, 1]}, large=True,
      explicit=[{"axis": [1, 2], "@shape": (3, 4, 2)}, {"axis": [-2, -1], "@shape": (3, 4, 2)}, {"axis": 2, "@shape": (3, 4, 2)},
                {"axis": -2, "@shape": (3, 4, 2)}, {"axis": [1, 2, 3], "@shape": (3, 4, 2)}])

# ---- Merging: shapes are lists of inputs -----------------------------------------------------------------------

SAME = [[(4,), (4,)], [(3, 4), (3, 4), (3, 4)], [(2, 3, 4), (2, 3, 4)]]
BROADCAST = [[(3, 4), (1, 4)], [(3, 4), (4,)], [(2, 3, 4), (2, 1, 1)], [(3, 1), (1, 4)]]
for name in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
    layer(name, SAME + BROADCAST)
layer("Subtract", [SAME[0], SAME[2]] + BROADCAST)
layer("Concatenate", SAME + [[(4,), (2,), (5,)], [(3, 4), (3, 2)]], {}, {"axis": [-1]},
      explicit=[{"axis": 1, "@shape": [(3, 4), (2, 4)]}, {"axis": -2, "@shape": [(3, 4), (2, 4), (1, 4)]},
                {"axis": 2, "@shape": [(2, 3, 4), (2, 5, 4)]}, {"axis": 0, "@shape": [(3, 4), (3, 4)]}])
layer("Dot", [[(4,), (4,)]], {"axes": 1}, {"axes": [1, -1, (1, 1)], "normalize": BOTH},
      explicit=[{"axes": (2, 1), "@shape": [(3, 4), (4, 5)]}, {"axes": (1, 1), "@shape": [(3, 4), (3, 5)], "normalize": True},
                {"axes": (2, 2), "@shape": [(3, 4), (5, 4)]}, {"axes": 2, "@shape": [(3, 4), (5, 4)], "normalize": True},
                {"axes": (1, 2), "@shape": [(4,), (3, 4)]}, {"axes": (2, 1), "@shape": [(3, 4), (4,)]},
                {"axes": (-1, -2), "@shape": [(3, 4), (4, 5)]}, {"axes": (3, 2), "@shape": [(2, 3, 4), (2, 4)]}])

# ---- Reshaping -------------------------------------------------------------------------------------------------

layer("Reshape", [(4, 6)], {"target_shape": (6, 4)}, {"target_shape": [(6, 4), (24,), (-1, 3), (2, -1, 2), (1, 24), (4, 3, 2)]})
layer("Flatten", [(4,), (3, 4), (2, 3, 4), ()], {}, {"data_format": FORMATS}, pairs=6)
layer("Permute", [(2, 3, 4)], {"dims": (2, 1, 3)}, {"dims": [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)]},
      explicit=[{"dims": (2, 1), "@shape": (3, 4)}, {"dims": (1,), "@shape": (5,)}, {"dims": (4, 1, 3, 2), "@shape": (2, 3, 4, 2)}])
layer("RepeatVector", [(4,)], {"n": 3}, {"n": [1, 3, 8]})
layer("ZeroPadding1D", [(4, 3)], {}, {"padding": [0, 1, (2, 1), (0, 3)], "data_format": FORMATS}, pairs=8)
layer("ZeroPadding2D", [(4, 3, 2)], {}, {"padding": [0, 1, (2, 1), ((1, 2), (0, 3))], "data_format": FORMATS}, pairs=8)
layer("ZeroPadding3D", [(2, 3, 4, 2)], {}, {"padding": [0, 1, (2, 1, 0), ((1, 2), (0, 3), (1, 0))], "data_format": FORMATS}, pairs=8)
layer("Cropping1D", [(6, 3)], {}, {"cropping": [0, 1, (2, 1), (0, 3)]})
layer("Cropping2D", [(6, 7, 2)], {}, {"cropping": [0, 1, (2, 1), ((1, 2), (0, 3))], "data_format": FORMATS}, pairs=8)
layer("Cropping3D", [(4, 5, 6, 2)], {}, {"cropping": [0, 1, (1, 2, 0), ((1, 2), (0, 3), (1, 0))], "data_format": FORMATS}, pairs=8)
layer("UpSampling1D", [(4, 3)], {}, {"size": [1, 2, 3]})
layer("UpSampling2D", [(4, 3, 2)], {}, {"size": [1, 2, (3, 2)], "data_format": FORMATS,
                                        "interpolation": ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]}, pairs=16)
layer("UpSampling3D", [(2, 3, 4, 2)], {}, {"size": [1, 2, (3, 1, 2)], "data_format": FORMATS}, pairs=8)

# ---- Regularization: the identity at inference -----------------------------------------------------------------

layer("Dropout", [(6,), (3, 4)], {"rate": 0.5}, {"rate": [0.0, 0.5, 0.9]})
layer("AlphaDropout", [(6,)], {"rate": 0.5}, {"rate": [0.1, 0.5]})
layer("GaussianDropout", [(6,)], {"rate": 0.5}, {"rate": [0.1, 0.5]})
layer("GaussianNoise", [(6,)], {"stddev": 0.5}, {"stddev": [0.1, 0.5]})
layer("SpatialDropout1D", [(3, 4)], {"rate": 0.5}, {"rate": [0.1, 0.5]}, no_common=("trainable",))
layer("SpatialDropout2D", [(3, 4, 2)], {"rate": 0.5}, {"rate": [0.1, 0.5], "data_format": FORMATS}, no_common=("trainable",))
layer("SpatialDropout3D", [(2, 3, 4, 2)], {"rate": 0.5}, {"rate": [0.1, 0.5], "data_format": FORMATS}, no_common=("trainable",))
layer("ActivityRegularization", [(6,)], {}, {"l1": [0.0, 0.1], "l2": [0.0, 0.1]})

# ---- Preprocessing ---------------------------------------------------------------------------------------------

layer("Resizing", [(6, 7, 3), (4, 9, 1)], {"height": 4, "width": 5},
      {"height": [3, 4, 12], "width": [2, 5, 14], "interpolation": ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"],
       "crop_to_aspect_ratio": BOTH, "pad_to_aspect_ratio": BOTH, "fill_value": [0.0, 2.5], "antialias": BOTH,
       "data_format": FORMATS}, pairs=40, with_values={"fill_value": {"pad_to_aspect_ratio": True}})
layer("CenterCrop", [(6, 7, 3), (9, 4, 1)], {"height": 4, "width": 3},
      {"height": [1, 4, 6, 8], "width": [3, 4, 9], "data_format": FORMATS}, pairs=12)
