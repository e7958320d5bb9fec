"""Rules for the features and their types: data.features against inputs."""

from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.tables import nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def are_fields_of_objects(spec: "Spec") -> str | None:
    fields = spec.inputs.fields()
    unknown = [name for name in spec.data.features if name not in fields]
    if not spec.inputs.objects or not unknown:
        return None
    return (
        f"data.features has {quoted(unknown[0])}, which is not a field of inputs.objects"
        f"{nearest(unknown[0], fields)}"
    )


def take_whole_objects(spec: "Spec") -> str | None:
    for name, collection in spec.inputs.objects.items():
        for number in range(len(collection.at)):
            features = collection.features(name, number)
            left_out = [feature for feature in features if feature not in spec.data.features]
            if left_out and len(left_out) < len(features):
                return (
                    f"data.features has {name} without {quoted(left_out[0])}; "
                    "list the field for all objects, or for none"
                )
    return None


def types_are_of_features(spec: "Spec") -> str | None:
    unknown = [name for name in spec.inputs.types if name not in spec.data.features]
    if not unknown:
        return None
    hint = nearest(unknown[0], spec.data.features)
    return f"inputs.types has {quoted(unknown[0])}, which is not a feature{hint}"


def have_types(spec: "Spec") -> str | None:
    missing = [name for name in spec.data.features if name not in spec.inputs.types]
    if spec.inputs.type is not None or spec.inputs.objects or not missing:
        return None
    return f"inputs has no type for the feature {quoted(missing[0])}; give inputs.type for all"
