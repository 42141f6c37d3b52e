"""Says what was answered, and how the fields of a form are called."""

from __future__ import annotations

from atelier.generation.v1 import media_pb2
from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import localised
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue
from edge_bot.view.language import Texts
from edge_bot.view.typed_value import shown_number

NOTHING = "—"
"""What stands in place of an answer that was not given."""


def answer_text(field: Field, value: JsonValue, speak: Texts) -> str:
    """Return an answer in words, never as the input spells it."""
    match field.kind:
        case FieldKind.NUMBER:
            return shown_number(value)
        case FieldKind.YES_NO:
            return speak.plain("yes") if value else speak.plain("no")
        case FieldKind.CHOICE:
            return _choice_text(field, value, speak)
        case FieldKind.MEDIA:
            return _count_text(field, value, speak)
        case FieldKind.REFERENCE:
            return speak.plain("chosen")
        case _:
            return _several_text(value)


def setting_text(field: Field, value: JsonValue, speak: Texts) -> str:
    """Return what a button says of a field: its label and its value, or what holds without one."""
    label = localised(field.labels, speak.language)
    default = field.schema.get("default")
    if value is None and default not in (None, "") and field.kind in _WITH_DEFAULT:
        value = default
    told = NOTHING if value is None else answer_text(field, value, speak)
    return f"{label}: {told or NOTHING}"


def branch_label(form: InputForm, index: int, language: str) -> str:
    """Return what a user has who goes this way, such as `Pictures + Videos`."""
    names = _telling_names(form, index)
    parts = [_branch_part(form, name, index=index, language=language) for name in names]
    return " + ".join(parts)


_WITH_DEFAULT = (FieldKind.NUMBER, FieldKind.YES_NO, FieldKind.CHOICE)


def _telling_names(form: InputForm, index: int) -> list[str]:
    """Return the fields that a way needs and that tell it from the others, as far as any do."""
    needed = [name for name in form.branches[index].get("required", ()) if name in form.fields]
    special = [name for name in needed if _is_special(form.fields[name])]
    songs = [name for name in special if not _is_whole_job(form.fields[name])]
    return songs or special or needed


def _is_special(field: Field) -> bool:
    return field.media is not None or field.reference is not None


def _is_whole_job(field: Field) -> bool:
    return field.reference is not None and field.reference.part == pb.REFERENCE_PART_TASK


def _branch_part(form: InputForm, name: str, *, index: int, language: str) -> str:
    label = localised(form.fields[name].labels, language)
    bound = form.branches[index].get("properties", {}).get(name) or {}
    if "maxItems" in bound and bound.get("minItems") == bound["maxItems"]:
        return f"{label}: {int(bound['maxItems'])}"
    return label


def _several_text(value: JsonValue) -> str:
    """Return a text, the values of a list, or how many objects there are."""
    if not isinstance(value, list):
        return str(value)
    has_objects = any(isinstance(each, dict) for each in value)
    return str(len(value)) if has_objects else ", ".join(str(each) for each in value)


def _choice_text(field: Field, value: JsonValue, speak: Texts) -> str:
    found = next((each for each in field.choices if each.value == value), None)
    if found is not None:
        return localised(found.labels, speak.language)
    return NOTHING if "enum" in field.schema else str(value)


def _count_text(field: Field, value: JsonValue, speak: Texts) -> str:
    count = len(value) if isinstance(value, list) else 1
    match field.media.kind if field.media else 0:
        case media_pb2.MEDIA_KIND_IMAGE:
            return speak.count("{n} picture", "{n} pictures", count)
        case media_pb2.MEDIA_KIND_VIDEO:
            return speak.count("{n} video", "{n} videos", count)
        case media_pb2.MEDIA_KIND_AUDIO:
            return speak.count("{n} recording", "{n} recordings", count)
        case _:
            return speak.count("{n} file", "{n} files", count)
