"""The models of the round trip test, made with real Keras. Each case is a function that returns a model, or (model, x),
or (model, x, y); compiled models are trained for some steps, the others are called. What the case leaves out is drawn
from the shapes of the model's inputs and outputs."""
import keras
import numpy as np
from keras import Input, layers, ops, optimizers

CASES = {}  # name -> function


def case(function):
    CASES[function.__name__] = function
    return function


def draw(shape, dtype, rng):
    shape = [4 if i == 0 else (5 if n is None else n) for i, n in enumerate(shape)]
    if dtype.startswith(("int", "uint")):
        return rng.integers(0, 6, shape).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.standard_normal(shape).astype("float32")


def draw_inputs(model, rng):
    struct = model.inputs[0] if isinstance(model, keras.Sequential) else model._inputs_struct
    return keras.tree.map_structure(lambda t: draw(t.shape, str(t.dtype), rng), struct)


def draw_targets(outputs, rng):
    return keras.tree.map_structure(lambda t: rng.standard_normal(t.shape).astype("float32"), outputs)


def mlp(*middle, units=3, **names):
    return keras.Sequential([Input((6,)), layers.Dense(5, activation="relu"), *middle, layers.Dense(units)], **names)


def compiled(model, optimizer="adam", loss="mse", **more):
    model.compile(optimizer=optimizer, loss=loss, **more)
    return model


# ---- Sequential ------------------------------------------------------------------------------------------------


@case
def sequential_plain():
    return compiled(mlp())


@case
def sequential_uncompiled():
    return mlp(layers.BatchNormalization(), layers.Dropout(0.3))


@case
def sequential_built_late():
    model = keras.Sequential([layers.Dense(4, activation="gelu"), layers.Dense(2)], name="late")
    x = np.random.default_rng(0).standard_normal((4, 7)).astype("float32")
    model(x)
    return compiled(model, "sgd"), x


@case
def sequential_dropout_seeded():
    return compiled(mlp(layers.Dropout(0.5, seed=3), layers.GaussianNoise(0.1, seed=4)))


@case
def sequential_convolutional():
    stack = [layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(), layers.BatchNormalization()]
    return compiled(keras.Sequential([Input((8, 8, 3)), *stack, layers.Flatten(), layers.Dense(2)]))


@case
def sequential_nested():
    inner = keras.Sequential([layers.Dense(4), layers.Dense(4, "tanh")], name="inner")
    return compiled(keras.Sequential([Input((6,)), inner, mlp_tail(), layers.Dense(1)]))


def mlp_tail():
    x = Input((4,))
    return keras.Model(x, layers.Dense(3, "relu")(x), name="tail")


@case
def sequential_non_ascii_names():
    stack = [layers.Dense(4, name="dense_é"), layers.Dense(2, name="层_\U0001f600")]
    return compiled(keras.Sequential([Input((6,), name="entrée"), *stack], name="modèle_中文"))


@case
def sequential_regularized():
    dense = layers.Dense(4, kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-2), bias_constraint="non_neg",
                         kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", seed=1),
                         activity_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm(2))
    return compiled(mlp(dense, layers.ActivityRegularization(l1=1e-3)))


@case
def sequential_many_layers():  # 12 of one class: "10" sorts before "2" in the weights file
    return compiled(keras.Sequential([Input((3,))] + [layers.Dense(3) for _ in range(12)]), "sgd")


@case
def sequential_frozen():
    model = mlp(layers.Dense(4))
    model.layers[0].trainable = False
    return compiled(model)


@case
def sequential_float64():
    return compiled(keras.Sequential([Input((6,)), layers.Dense(3, dtype="float64"), layers.Dense(2)]))


# ---- Functional ------------------------------------------------------------------------------------------------


@case
def functional_residual():
    x = Input((6,))
    y = layers.Dense(6, "relu")(x)
    return compiled(keras.Model(x, layers.Dense(2)(layers.Add()([x, y]))))


@case
def functional_shared_layer():
    a, b, shared = Input((4,), name="a"), Input((4,), name="b"), layers.Dense(3, "tanh")
    return compiled(keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([shared(a), shared(b)]))))


@case
def functional_shared_submodel():
    tail, a, b = mlp_tail(), Input((4,)), Input((4,))
    return compiled(keras.Model([a, b], layers.Subtract()([tail(a), tail(b)])))


@case
def functional_deeply_nested():
    x = Input((4,))
    one = keras.Model(x, mlp_tail()(layers.Dense(4)(x)), name="one")
    x = Input((4,))
    two = keras.Model(x, layers.Dense(4)(one(x)), name="two")
    x = Input((4,))
    return compiled(keras.Model(x, layers.Add()([two(x), two(layers.Dense(4)(x))]), name="three"))


@case
def functional_list_io():
    a, b = Input((4,)), Input((3, 2))
    y = layers.Dense(3)(a)
    return compiled(keras.Model([a, b], [y, layers.Flatten()(b)]), loss=["mse", "mae"], loss_weights=[0.5, 2.0])


@case
def functional_dict_io():
    a, b = Input((4,), name="zeta"), Input((4,), name="alpha")
    out = {"right": layers.Dense(2, name="right")(a), "left": layers.Dense(1, name="left")(layers.Add()([a, b]))}
    return compiled(keras.Model({"zeta": a, "alpha": b}, out), loss={"right": "mse", "left": keras.losses.Huber(0.7)},
                    metrics={"right": ["mae", keras.metrics.MeanSquaredError(name="carré")], "left": []},
                    loss_weights={"right": 0.25, "left": 1.0})


@case
def functional_nested_io():
    a, b, c = Input((4,)), Input((4,)), Input((4,))
    total = layers.Add()([a, b, c])
    return keras.Model({"x": [a, {"y": b}], "z": c}, [{"p": layers.Dense(2)(total)}, (layers.Dense(1)(a),)])


@case
def functional_raw_ops():
    x = Input((6, 4))
    y = ops.concatenate([x * 2.0, ops.relu(x) - 1], axis=-1)
    y = ops.reshape(y[:, 1:5], (-1, 4, 2, 4))
    return compiled(keras.Model(x, layers.Dense(2)(ops.mean(y, axis=[1, 2]))))


@case
def functional_split_outputs():
    x = Input((6,))
    a, b = ops.split(layers.Dense(6)(x), 2, axis=-1)
    return compiled(keras.Model(x, [layers.Dense(2)(b), a]), loss="mse")


@case
def functional_mask():
    x = Input((5,), dtype="int32")
    y = layers.LSTM(4, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(x))
    return compiled(keras.Model(x, layers.GlobalAveragePooling1D()(y)))


@case
def functional_not_a_number():  # config.json then holds the bare tokens NaN, Infinity and -Infinity
    x = Input((5, 3))
    y = layers.Masking(mask_value=float("nan"))(x)
    y = layers.ReLU(max_value=float("inf"))(layers.LeakyReLU(negative_slope=0.1)(y))
    y = layers.Rescaling(1.0, offset=-0.0)(y)
    return keras.Model(x, layers.Masking(mask_value=-float("inf"))(y))


@case
def functional_numbers():  # numbers whose text is easily changed by a reader that turns them into doubles
    x = Input((4,))
    y = layers.Rescaling(1e-300, offset=123456789012345680.0)(x)
    y = layers.Rescaling(scale=[0.1, 1 / 3, 1e22, 5e-324], offset=[0, 1, 2, 9007199254740993])(y)
    return keras.Model(x, layers.Dense(1)(y))


@case
def functional_optional_input():
    a, b = Input((4,), name="a"), Input((4,), name="b", optional=True)
    return keras.Model([a, b], OptionalSum(name="sum")([a, b]))


@case
def functional_batch_shape():
    x = Input(batch_shape=(4, 6), name="fixed", dtype="float32")
    return compiled(keras.Model(x, layers.Dense(2)(x), trainable=True, name="fixed batch"))


@case
def functional_constants():
    x = Input((3,))
    return keras.Model(x, ops.add(x, np.array([0.5, 1 / 3, -1e-7], "float32")))


# ---- Custom classes --------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class OptionalSum(layers.Layer):
    def call(self, inputs):
        return inputs[0] if inputs[1] is None else inputs[0] + inputs[1]

    def compute_output_shape(self, shapes):
        return shapes[0]


@keras.saving.register_keras_serializable(package="tests")
class Blocks(layers.Layer):
    """Sub-layers in every kind of container, and variables of its own."""

    def __init__(self, units=3, **more):
        super().__init__(**more)
        self.units = units
        self.many = [layers.Dense(units), layers.Dense(units)]
        self.named = {"b": layers.Dense(units), "a": layers.LayerNormalization()}
        self.zlast = layers.Dense(units)
        self._hidden = layers.Dense(units)

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.count = self.add_weight(shape=(2,), dtype="int32", initializer="zeros", trainable=False, name="count")
        self.flag = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False, name="flag")
        for layer in [*self.many, *self.named.values(), self.zlast, self._hidden]:
            layer.build(shape)
            shape = (*shape[:-1], self.units)

    def call(self, x):
        for layer in [*self.many, *self.named.values(), self.zlast, self._hidden]:
            x = layer(x)
        self.count.assign_add([1, 2])
        self.flag.assign(True)
        return x * self.scale

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Wide(keras.Model):
    def __init__(self, units=4, **more):
        super().__init__(**more)
        self.units = units
        self.first = layers.Dense(units, "relu")
        self.block = Blocks(units)
        self.zdense = layers.Dense(2)

    def call(self, x, training=False):
        return self.zdense(self.block(self.first(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
def double_tanh(x):
    return 2 * ops.tanh(x)


@keras.saving.register_keras_serializable(package="tests", name="my_loss")
def squared(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@case
def subclassed_model():
    x = np.random.default_rng(1).standard_normal((4, 6)).astype("float32")
    model = Wide(5, name="wide")
    model(x)
    return compiled(model), x


@case
def custom_layer():
    x = Input((6,))
    return compiled(keras.Model(x, layers.Dense(1)(Blocks(4)(x))), "rmsprop")


@case
def custom_functions():
    return compiled(mlp(layers.Dense(4, activation=double_tanh)), loss=squared, metrics=[squared])


# ---- compile() -------------------------------------------------------------------------------------------------


@case
def compile_unnamed_metrics():
    names = ["mae", "mean_squared_error", keras.metrics.RootMeanSquaredError()]
    return compiled(mlp(), metrics=names, weighted_metrics=["mse"])


@case
def compile_class_losses():
    model = mlp(layers.Dense(3, "softmax"))
    x = np.random.default_rng(2).standard_normal((4, 6)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=None)
    more = dict(metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")])
    return compiled(model, loss=loss, **more), x, np.array([0, 1, 2, 1])


@case
def compile_steps_per_execution():
    return compiled(mlp(), optimizers.SGD(0.1), steps_per_execution=3, jit_compile=False)


@case
def compile_not_trained():
    return compiled(mlp(), optimizers.Adam()), None, "untrained"


@case
def compile_binary_metrics():
    model = mlp(layers.Dense(1, "sigmoid"), units=1)
    x = np.random.default_rng(3).standard_normal((4, 6)).astype("float32")
    metrics = [keras.metrics.AUC(num_thresholds=7), keras.metrics.Precision(thresholds=[0.2, 0.8]), "accuracy"]
    return compiled(model, loss="binary_crossentropy", metrics=metrics), x, np.array([[0.0], [1.0], [1.0], [0.0]])


# ---- Optimizers ------------------------------------------------------------------------------------------------

SCHEDULES = optimizers.schedules
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05),
    "sgd_momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "sgd_nesterov_decay": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": lambda: optimizers.RMSprop(),
    "rmsprop_momentum": lambda: optimizers.RMSprop(0.002, momentum=0.5),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.002, momentum=0.5, centered=True),
    "adam": lambda: optimizers.Adam(0.01),
    "adam_amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adam_ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "adam_accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "adam_ema_accumulation": lambda: optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=3),
    "adam_clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.1),
    "adam_global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
    "adam_clipvalue": lambda: optimizers.Adam(0.01, clipvalue=0.01),
    "adam_loss_scale_factor": lambda: optimizers.Adam(0.01, loss_scale_factor=128.0),
    "adamw": lambda: optimizers.AdamW(0.01),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "ftrl": lambda: optimizers.Ftrl(0.01, l1_regularization_strength=1e-3, beta=0.1),
    "lion": lambda: optimizers.Lion(0.001),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "muon": lambda: optimizers.Muon(0.01),
    "lamb": lambda: optimizers.Lamb(0.01),
    "schedule_free_adamw": lambda: optimizers.ScheduleFreeAdamW(0.01, warmup_steps=3),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=1024.0, dynamic_growth_steps=2),
    "multi": lambda: optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.01, momentum=0.5),
                                                                       {".*kernel": optimizers.Adam(0.01)})),
    "schedule_exponential": lambda: optimizers.Adam(SCHEDULES.ExponentialDecay(0.01, 2, 0.5, staircase=True)),
    "schedule_cosine": lambda: optimizers.SGD(SCHEDULES.CosineDecay(0.1, 9, warmup_target=0.2, warmup_steps=2), momentum=0.9),
    "schedule_restarts": lambda: optimizers.AdamW(SCHEDULES.CosineDecayRestarts(0.01, 2)),
    "schedule_piecewise": lambda: optimizers.SGD(SCHEDULES.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01])),
    "schedule_polynomial": lambda: optimizers.RMSprop(SCHEDULES.PolynomialDecay(0.01, 4, power=2.0, cycle=True)),
    "schedule_inverse_time": lambda: optimizers.Adagrad(SCHEDULES.InverseTimeDecay(0.01, 2, 0.3)),
}


def add_optimizer_case(name, make):
    def build():
        return compiled(mlp(layers.BatchNormalization()), make(), metrics=["mae"])

    build.__name__ = "optimizer_" + name
    case(build)


for _name, _make in OPTIMIZERS.items():
    add_optimizer_case(_name, _make)


# ---- Number types ----------------------------------------------------------------------------------------------


def add_policy_case(policy):
    def build():
        previous = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return compiled(mlp(layers.LayerNormalization()), optimizers.SGD(0.01, momentum=0.9))
        finally:
            keras.config.set_dtype_policy(previous)

    build.__name__ = "policy_" + policy
    case(build)


for _policy in ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"):
    add_policy_case(_policy)


def add_quantized_case(mode):
    def build():
        x = Input((8,), dtype="int32")
        y = layers.Embedding(7, 8)(x)
        y = layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d")(y)
        model = keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling1D()(y)))
        model.quantize(mode)
        return model

    build.__name__ = "quantized_" + mode
    case(build)


for _mode in ("int8", "int4", "float8"):
    add_quantized_case(_mode)


@case
def lora():
    dense, embedding = layers.Dense(4), layers.Embedding(7, 5)
    x = Input((3,), dtype="int32")
    model = keras.Model(x, dense(layers.Flatten()(embedding(x))))
    dense.enable_lora(2, lora_alpha=3)
    embedding.enable_lora(1)
    return compiled(model, "sgd")


# ---- Assets ----------------------------------------------------------------------------------------------------

TEXT = np.array([["a cat é"], ["the dog"], ["中 文 a"], ["a the zebra"]])


@case
def asset_string_lookup():
    layer = layers.StringLookup(output_mode="int")
    layer.adapt(TEXT)
    x = Input((1,), dtype="string")
    return keras.Model(x, layers.Embedding(9, 2)(layer(x))), TEXT


@case
def asset_string_lookup_in_config():
    layer = layers.StringLookup(vocabulary=["é", "中", "a\"b", "tab\there"], output_mode="multi_hot")
    x = Input((1,), dtype="string")
    return keras.Model(x, layer(x)), np.array([["é"], ["中"], ["a\"b"], ["none"]])


@case
def asset_integer_lookup():
    layer = layers.IntegerLookup(num_oov_indices=2, mask_token=0)
    values = np.array([[3], [9], [3], [-7]])
    layer.adapt(values)
    x = Input((1,), dtype="int64")
    return keras.Model(x, layer(x)), values


@case
def asset_text_vectorization():
    layer = layers.TextVectorization(output_sequence_length=4, standardize="lower")
    layer.adapt(TEXT[:, 0])
    x = Input((1,), dtype="string")
    return keras.Model(x, layers.Embedding(20, 3)(layer(x))), TEXT


@case
def asset_text_tf_idf():
    layer = layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(TEXT[:, 0])
    x = Input((1,), dtype="string")
    return keras.Model(x, layer(x)), TEXT


@case
def asset_two_lookups():
    one, two = layers.StringLookup(name="one"), layers.StringLookup(name="two")
    one.adapt(TEXT)
    two.adapt(TEXT[:2])
    x = Input((1,), dtype="string")
    return keras.Model(x, [one(x), two(x)]), TEXT


@case
def adapted_normalization():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(4).standard_normal((9, 6)) * 3 + 1)
    return compiled(keras.Sequential([Input((6,)), layer, layers.Dense(2)]))


@case
def adapted_discretization():
    layer = layers.Discretization(num_bins=4)
    layer.adapt(np.random.default_rng(5).standard_normal((9, 6)))
    x = Input((6,))
    return keras.Model(x, layer(x))


# ---- Many kinds of layers: the document round trip needs none of them to run in Cornu --------------------------


@case
def layers_recurrent():
    x = Input((5, 4))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="concat")(x)
    y = layers.GRU(3, return_sequences=True, reset_after=False)(y)
    y = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.SimpleRNNCell(3)]), return_sequences=True)(y)
    y, state = layers.SimpleRNN(3, return_sequences=True, return_state=True)(y)
    y = layers.TimeDistributed(layers.Dense(2))(y)
    return compiled(keras.Model(x, [y, state]), "sgd", "mse")


@case
def layers_conv_recurrent():
    x = Input((2, 5, 5, 1))
    return compiled(keras.Model(x, layers.ConvLSTM2D(2, 3, padding="same")(x)), "sgd")


@case
def layers_attention():
    x = Input((5, 8))
    y = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x, use_causal_mask=True)
    y = layers.GroupQueryAttention(4, 4, 2)(y, y)
    y = layers.Attention(use_scale=True)([y, x])
    return compiled(keras.Model(x, layers.AdditiveAttention()([y, x])), "sgd")


@case
def layers_convolution():
    x = Input((8, 8, 4))
    y = layers.Conv2D(4, 3, groups=2, strides=2)(x)
    y = layers.SeparableConv2D(3, 2, depth_multiplier=2)(y)
    y = layers.Conv2DTranspose(3, 3, strides=2, output_padding=1)(y)
    y = layers.DepthwiseConv2D(2, dilation_rate=2)(y)
    return compiled(keras.Model(x, layers.GlobalMaxPooling2D()(y)), "sgd")


@case
def layers_convolution_1d_3d():
    a, b = Input((9, 2)), Input((4, 4, 4, 2))
    y = layers.Conv1D(3, 3, padding="causal")(a)
    y = layers.GlobalAveragePooling1D()(layers.SeparableConv1D(2, 2)(layers.Conv1DTranspose(2, 2)(y)))
    z = layers.GlobalAveragePooling3D()(layers.Conv3DTranspose(2, 2)(layers.Conv3D(2, 2)(b)))
    return compiled(keras.Model([a, b], layers.Concatenate()([y, z])), "sgd")


@case
def layers_normalization():
    y = x = Input((6, 4))
    for layer in (layers.LayerNormalization(axis=[1, 2]), layers.GroupNormalization(2), layers.RMSNormalization(),
                  layers.UnitNormalization(), layers.BatchNormalization(scale=False),
                  layers.SpectralNormalization(layers.Dense(4))):
        y = layer(y)
    return compiled(keras.Model(x, y), "sgd")


@case
def layers_activation():
    y = x = Input((4,))
    for layer in (layers.PReLU(), layers.ELU(0.5), layers.Softmax(), layers.LeakyReLU(0.2), layers.ReLU(6.0, 0.1, 0.2),
                  layers.Activation("mish"), layers.Dense(4, "hard_silu")):
        y = layer(y)
    return compiled(keras.Model(x, y), "sgd")


@case
def layers_pooling_reshaping():
    x = Input((8, 8, 2))
    y = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
    y = layers.Cropping2D(1)(layers.UpSampling2D(2, interpolation="bilinear")(y))
    y = layers.AdaptiveAveragePooling2D(4)(layers.AveragePooling2D(2, padding="same")(y))
    y = layers.RepeatVector(2)(layers.Flatten()(layers.Permute((2, 1, 3))(y)))
    return keras.Model(x, layers.Reshape((-1, 4))(y))


@case
def layers_augmentation():
    x = Input((8, 8, 3))
    y = layers.Pipeline([layers.RandomFlip(seed=1), layers.RandomRotation(0.1, seed=2)])(x)
    y = layers.RandomContrast(0.2, seed=3)(layers.CenterCrop(6, 6)(layers.Resizing(9, 7)(y)))
    return keras.Model(x, layers.Rescaling(1 / 255, offset=0.5)(y))


@case
def layers_merging():
    a, b = Input((4,)), Input((4,))
    pair = [a, b]
    many = [layers.Multiply()(pair), layers.Average()(pair), layers.Maximum()(pair), layers.Minimum()(pair),
            layers.Dot(axes=1, normalize=True)(pair)]
    return keras.Model(pair, layers.Concatenate(axis=-1)(many))


@case
def layers_preprocessing():
    x = Input((1,), dtype="int32")
    y = layers.CategoryEncoding(7, output_mode="one_hot")(x)
    return keras.Model(x, [y, layers.Hashing(5)(x), layers.HashedCrossing(5)([x, x])])


@case
def layers_reversible_embedding():
    x = Input((5,), dtype="int32")
    embedding = layers.ReversibleEmbedding(7, 4)
    return compiled(keras.Model(x, embedding(embedding(x), reverse=True)), "sgd")


@case
def layers_random():
    y = x = Input((6, 4))
    for layer in (layers.SpatialDropout1D(0.2, seed=1), layers.AlphaDropout(0.1, seed=2), layers.GaussianDropout(0.1, seed=3),
                  layers.Dense(3)):
        y = layer(y)
    return compiled(keras.Model(x, y), "sgd")


@case
def layers_audio():
    x = Input((600,))
    return keras.Model(x, layers.MelSpectrogram(num_mel_bins=8, fft_length=64, sequence_stride=32, sampling_rate=800)(x))
