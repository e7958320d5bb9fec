"""Rules for what the network scores: model.output, the classes that it is taught, and the accept
bits.
"""

from collections import Counter
from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.tables import nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def one_is_one_of_two_classes(spec: "Spec") -> str | None:
    output = spec.model.output
    classes = spec.data.classes
    if not isinstance(output, str) or (len(classes) == 2 and output in classes):
        return None
    return (
        f"model.output is {quoted(output)}; with two classes it must name the scored "
        "one, with more it must list the scored ones"
    )


def several_are_classes(spec: "Spec") -> str | None:
    if not isinstance(spec.model.output, list):
        return None
    repeated = [name for name, count in Counter(spec.model.output).items() if count > 1]
    if repeated:
        return f"model.output names {quoted(repeated[0])} twice"
    return _no_class("model.output", spec.model.output, spec)


def several_are_not_all(spec: "Spec") -> str | None:
    output = spec.model.output
    if not isinstance(output, list) or 0 < len(set(output)) < len(spec.data.classes):
        return None
    return "model.output must list some, but not all, of the classes"


def anomaly_is_trained_here(spec: "Spec") -> str | None:
    if spec.task != "anomaly" or spec.model.network is None:
        return None
    return 'task "anomaly" needs a network that is trained here; model.network is already trained'


def anomaly_scores_what_is_unusual(spec: "Spec") -> str | None:
    if spec.task != "anomaly" or spec.model.output is None:
        return None
    return 'model.output is for classification; the output of task "anomaly" scores anomalies'


def anomaly_has_no_labels(spec: "Spec") -> str | None:
    if spec.task != "anomaly" or spec.training.distillation is None:
        return None
    return 'training.distillation is for classification; task "anomaly" has no labels'


def anomaly_is_an_encoder_or_a_student(spec: "Spec") -> str | None:
    if spec.model.teacher is None:
        return None
    for key in ("beta", "reconstruct"):
        if key in spec.training.model_fields_set:
            return (
                f"training.{key} is for an encoder that ends in latent values; with model.teacher "
                f"the network learns the teacher's errors; remove one of the two keys"
            )
    return None


def anomaly_names_what_is_usual(spec: "Spec") -> str | None:
    usual = spec.training.classes
    if spec.task != "anomaly" or (usual is not None and not set(usual) >= set(spec.data.classes)):
        return None
    return "training.classes is missing; set it to the normal classes, the others are anomalies"


def anomaly_reconstructs_features(spec: "Spec") -> str | None:
    asked = spec.training.reconstruct or []
    features = spec.data.features
    unknown = [name for name in asked if name not in features]
    if spec.task != "anomaly" or not unknown:
        return None
    hint = nearest(unknown[0], features)
    return f"training.reconstruct has {quoted(unknown[0])}, which is not a feature{hint}"


def taught_are_classes(spec: "Spec") -> str | None:
    return _no_class("training.classes", spec.training.classes or [], spec)


def taught_are_of_one_output(spec: "Spec") -> str | None:
    if spec.training.classes is None or spec.model.output is not None or spec.task == "anomaly":
        return None
    return (
        "training.classes needs a network of one output; one with an output per "
        "class must train on all"
    )


def taught_are_all_that_is_scored(spec: "Spec") -> str | None:
    taught = spec.training.classes
    missing = [name for name in spec.scored_high if taught is not None and name not in taught]
    if not missing:
        return None
    return f"training.classes lacks {quoted(missing[0])}, which model.output scores"


def accept_bits_have_scores(spec: "Spec") -> str | None:
    """Names the first accept bit without a score, and the reason."""
    for name, point in spec.accept.items():
        key = f"decision.accept.{name}.output"
        if point.output is None and len(spec.scores) > 1:
            what = "score that" if spec.heads else "class whose score"
            return f"{key} is missing; set it to the {what} decides"
        if point.output is not None and point.output not in spec.scores:
            what = "class" if spec.model.output is None else "class that the network scores"
            what = "score of a head" if spec.heads else what
            hint = nearest(point.output, spec.scores)
            return f"{key} is {quoted(point.output)}, which is not a {what}{hint}"
    return None


def _no_class(key: str, names: list[str], spec: "Spec") -> str | None:
    unknown = [name for name in names if name not in spec.data.classes]
    if not unknown:
        return None
    hint = nearest(unknown[0], spec.data.classes)
    return f"{key} has {quoted(unknown[0])}, which is not a class{hint}"
