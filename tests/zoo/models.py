"""Networks that other people build, small, and inputs for them."""

import keras
import numpy as np
import pytest

import bridge_tf

CLASSES = 5
APPLICATIONS = {
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
    "ResNet50V2": 32,
    "DenseNet121": 32,
    "ConvNeXtTiny": 32,
    "Xception": 71,
    "NASNetMobile": 32,
}


def marked(quick) -> list:
    """These marked as integration tests, and the applications that aren't among them as the zoo."""
    slow = [name for name in APPLICATIONS if name not in quick]
    return [
        *(pytest.param(name, marks=pytest.mark.integration) for name in quick),
        *(pytest.param(name, marks=pytest.mark.zoo) for name in slow),
    ]


def build(name: str):
    """A network with fresh random weights."""
    if name in APPLICATIONS:
        size = APPLICATIONS[name]
        return bridge_tf.build_network(name, (size, size, 3), CLASSES)
    return {
        "vision_transformer": vision_transformer,
        "lstm": lstm,
        "sequential_mlp": sequential_mlp,
        "subclassed": subclassed,
    }[name]()


def inputs(model, count: int = 8):
    """Random inputs for a network, as NumPy arrays."""
    generator = np.random.default_rng(0)
    shape = (count, *model.input_shape[1:]) if hasattr(model, "input_shape") else (count, 8, 8, 1)
    if getattr(model, "name", "").startswith("lstm"):
        return generator.integers(0, 50, shape).astype("int32")
    return generator.uniform(0, 255, shape).astype("float32")


def vision_transformer():
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaling")(image)
    x = keras.layers.Conv2D(16, 4, strides=4, name="patches")(x)
    x = keras.layers.Reshape((16, 16), name="tokens")(x)
    for k in range(3):
        y = keras.layers.LayerNormalization(name=f"block{k}_norm1")(x)
        y = keras.layers.MultiHeadAttention(2, 8, dropout=0.1, name=f"block{k}_attention")(y, y)
        x = x + y
        y = keras.layers.LayerNormalization(name=f"block{k}_norm2")(x)
        y = keras.layers.Dense(32, activation="gelu", name=f"block{k}_mlp1")(y)
        y = keras.layers.Dense(16, name=f"block{k}_mlp2")(y)
        x = keras.layers.Add(name=f"block{k}")([x, y])
    x = keras.layers.RMSNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, name="logits")(x), name="vit")


def lstm():
    tokens = keras.Input((12,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(50, 12, name="embedding")(tokens)
    lstm = keras.layers.LSTM(12, return_sequences=True)
    x = keras.layers.Bidirectional(lstm, name="both_ways")(x)
    x = keras.layers.LSTM(16, name="last")(x)
    x = keras.layers.Dense(16, activation="relu", name="hidden")(x)
    probabilities = keras.layers.Dense(CLASSES, activation="softmax", name="classes")(x)
    return keras.Model(tokens, probabilities, name="lstm")


def sequential_mlp():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu", name="first"),
            keras.layers.Dropout(0.1),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(32, activation="relu", name="second"),
            keras.layers.Dense(32, activation="relu", name="third"),
            keras.layers.Dense(CLASSES),
        ],
        name="mlp",
    )


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """A network whose graph is hidden in `call`."""

    def __init__(self, units: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.scaling = keras.layers.Rescaling(1 / 255)
        self.conv = keras.layers.Conv2D(8, 3, activation="relu")
        self.norm = keras.layers.BatchNormalization()
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.hidden = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
        self.dropout = keras.layers.Dropout(0.1)
        self.logits = keras.layers.Dense(CLASSES)

    def call(self, images, training=None):
        x = self.pool(self.norm(self.conv(self.scaling(images)), training=training))
        for layer in self.hidden:
            x = layer(x)
        return self.logits(self.dropout(x, training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 1), "float32"))
    return model
