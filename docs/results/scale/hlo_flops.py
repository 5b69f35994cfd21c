"""FLOPs of what Keras runs, counted in the HLO modules that TensorFlow hands to XLA.

It shares nothing with `bridge_tf.networks.flops`, which counts operations of TensorFlow's graphs
of inference: here the gradients and the optimizer are counted as they are.
"""

import math
import re

import keras
import tensorflow as tf

# NAME = TYPE[SHAPE]{LAYOUT} OPERATION(OPERANDS), ATTRIBUTES
_LINE = re.compile(r"\s*(?:ROOT )?%?([\w.-]+) = \w+\[([\d,]*)\]\S* ([\w-]+)\((.*)")
_ELEMENTWISE = frozenset(
    "add subtract multiply divide maximum minimum exponential exponential-minus-one log "
    "log-plus-one rsqrt sqrt negate power tanh logistic compare select abs sign sine cosine "
    "floor and or not xor erf".split()
)


class Watch:
    """Keeps what was fitted and what predicted, until the FLOPs are asked for."""

    def __init__(self):
        self.fitted, self.predicted = [], {}
        fit, predict = keras.Model.fit, keras.Model.predict

        def watched_fit(model, x=None, y=None, **options):
            # Without the batch dimension of the first and as it is of all others: they are equal.
            self.fitted.append((model, x.element_spec))
            return fit(model, x, y, **options)

        def watched_predict(model, x, batch_size=None, verbose="auto", steps=None, **options):
            batches = isinstance(x, tf.data.Dataset)
            spec = x.element_spec if batches else tf.TensorSpec((1, *x.shape[1:]), "float32")
            images = int(x.cardinality()) * spec.shape[0] if batches else len(x)
            # Models of one architecture that take turns count as one.
            weights = sum(math.prod(weight.shape) for weight in model.weights)
            known = self.predicted.setdefault((model.name, weights, spec.shape), [])
            known.append((model, spec, images))
            return predict(model, x, batch_size=batch_size, verbose=verbose, steps=steps, **options)

        keras.Model.fit, keras.Model.predict = watched_fit, watched_predict

    def steps(self) -> int:
        """Gradient steps of all that was fitted."""
        return sum(int(model.optimizer.iterations) for model, _ in self.fitted)

    def flops(self) -> tuple[int, int]:
        """Of all steps and forward passes: as counted here, and by XLA's own analysis."""
        found = [
            (int(model.optimizer.iterations), _step_hlo(model, spec)) for model, spec in self.fitted
        ]
        for calls in self.predicted.values():
            model, spec, _ = calls[0]
            images = sum(number for *_, number in calls)
            found.append((images / spec.shape[0], _forward_hlo(model, spec)))
        return (
            round(sum(times * count(text) for times, text in found)),
            round(sum(times * xla_count(text) for times, text in found)),
        )


def _step_hlo(model, spec) -> str:
    step = tf.function(lambda *batch: model.train_step(batch), jit_compile=True)
    return step.experimental_get_compiler_ir(*spec)(stage="hlo")


def _forward_hlo(model, spec) -> str:
    forward = tf.function(lambda x: model(x, training=False), jit_compile=True)
    return forward.experimental_get_compiler_ir(spec)(stage="hlo")


def count(text: str) -> int:
    """FLOPs of a module: two a multiply-add, one an element of other arithmetic and reductions.

    A convolution's window is counted in full, on padding too, but not what a stride's zeros are
    multiplied with in its gradient.
    """
    shapes, total = {}, 0
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        name, shape, kind, rest = found.groups()
        shapes[name] = [int(size) for size in shape.split(",") if size]
        if kind in _ELEMENTWISE:
            total += math.prod(shapes[name])
        elif kind in ("convolution", "dot", "reduce", "reduce-window"):
            operands = [shapes[x] for x in re.findall(r"%([\w.-]+)", rest.partition(")")[0])]
            total += _product(kind, shapes[name], operands, rest)
    return total


def _product(kind: str, shape, operands, attributes: str) -> int:
    if kind == "reduce":
        return math.prod(operands[0])
    if kind == "dot":
        dims = re.search(r"lhs_contracting_dims={([\d,]*)}", attributes)[1].split(",")
        return 2 * math.prod(shape) * math.prod(operands[0][int(d)] for d in dims)
    window = math.prod(_sizes(r"size=([\dx]+)", attributes))
    if kind == "reduce-window":
        return math.prod(shape) * window
    labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)[1]
    inputs = operands[1][labels.index("i")]  # of a group
    zeros = math.prod(_sizes(r"lhs_dilate=([\dx]+)", attributes))
    return 2 * math.prod(shape) * window * inputs // zeros


def _sizes(pattern: str, attributes: str) -> list[int]:
    found = re.search(pattern, attributes)
    return [int(size) for size in found[1].split("x")] if found else []


def xla_count(text: str) -> float:
    """FLOPs of a module by XLA's analysis."""
    import jax
    from jaxlib import _hlo, _jax

    module = _hlo.hlo_module_from_text(text)
    client = jax.devices("cpu")[0].client
    return _jax.hlo_module_cost_analysis(client, module)["flops"]
