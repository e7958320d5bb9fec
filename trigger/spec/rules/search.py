"""Rules for a search: what it varies, and what it raises."""

from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec import families
from trigger.spec.tables import Section, nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec

# Tables that only a build reads.
_NOT_IN_TRIALS = ("cross_validation", "robustness", "synth")


def is_of_networks_trained_here(spec: "Spec") -> str | None:
    if spec.search is None or spec.model.network is None:
        return None
    return "search needs a network that is trained here; model.network is already trained"


def accuracy_is_of_classes(spec: "Spec") -> str | None:
    if spec.search is None or spec.search.metric != "accuracy" or spec.task != "anomaly":
        return None
    return 'search.metric "accuracy" is for classification, not for task "anomaly"'


def auc_and_accuracy_are_of_a_classification(spec: "Spec") -> str | None:
    regressions = [head for head in spec.heads.values() if head.task == "regression"]
    if spec.search is None or spec.search.metric == "efficiency":
        return None
    if not spec.heads or len(regressions) < len(spec.heads):
        return None
    return f'search.metric "{spec.search.metric}" needs a head of task "classification"'


def efficiency_is_of_accept_bits(spec: "Spec") -> str | None:
    if spec.search is None or spec.search.metric != "efficiency":
        return None
    if spec.decision is not None and spec.physics.zero_bias is not None:
        return None
    return 'search.metric "efficiency" needs both decision.accept and physics.zero_bias'


def families_are_known(spec: "Spec") -> str | None:
    known = (*families.FAMILIES, families.OWN)
    for name in spec.search.family if spec.search is not None else ():
        if name not in known:
            return (
                f"search.family has {quoted(name)}; the families are {', '.join(known)}, where "
                f"{families.OWN} is the network of [model]{nearest(name, known)}"
            )
    return None


def parameters_are_keys_of_tables(spec: "Spec") -> str | None:
    if spec.search is None:
        return None
    tables = _tables(type(spec)) - {"search", *_NOT_IN_TRIALS}
    asked = [("search.parameters", key) for key in spec.search.parameters]
    for name, family in spec.search.family.items():
        asked += [(f"search.family.{name}.parameters", key) for key in family.parameters]
    for where, key in asked:
        table, dot, _ = key.partition(".")
        if key == "model.family":
            return f"{where} has {quoted(key)}; name the families in [search.family] instead"
        if not dot or table not in tables:
            if table in _NOT_IN_TRIALS:
                return (
                    f"{where} has {quoted(key)}, which has no effect: a trial neither "
                    f"trains nor measures with [{table}]; vary another key"
                )
            hint = nearest(table, tables)
            return (
                f"{where} has {quoted(key)}, which is not a key of a "
                f"table, such as training.target_lut{hint}"
            )
    return None


def _tables(section: type[Section]) -> set[str]:
    return {name for name, field in section.model_fields.items() if field.annotation is not str}
