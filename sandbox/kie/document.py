"""Reading a model's document: the product's names of fields become KIE's.

The documents are those of `models/`; their shape is said there (`model.schema.json`). Only the
offer of KIE is read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kie.entry import Entry, Json, Price

_KINDS = {"file": "object"}


def entry_of(document: Json) -> Entry | None:
    """Return what the document says of KIE's model, or none when KIE does not offer it."""
    offer = next((each for each in document.get("offers", ()) if each["provider"] == "kie"), None)
    if offer is None:
        return None
    names = _Names(offer.get("fields", {}))
    result = document.get("result", {"kinds": ["image"], "shape": "urls"})
    kind = result["kinds"][0]
    return Entry(
        model=offer["model"],
        title=document["title"]["en"],
        provider=offer["model"].partition("/")[0],
        purpose=document["purpose"],
        description=document["description"]["en"],
        input=_input(document, offer, names),
        kind=_KINDS.get(kind, kind),
        shape=result["shape"],
        checks=[_check(each, names) for each in document.get("checks", ())],
        price=_price(offer.get("price", {}), names),
        requires_callback=offer.get("requires_callback", False),
    )


class _Names:
    """The names that KIE has for the product's fields, by path: `elements[].images`."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def field(self, path: str) -> str:
        """Return KIE's name of the field at a path."""
        return self._fields.get(path, path.rpartition(".")[2].removesuffix("[]"))

    def path(self, path: str) -> str:
        """Return KIE's path for a path."""
        parts = path.split(".")
        told = [
            self.field(".".join(parts[: at + 1]).removesuffix("[]")) for at in range(len(parts))
        ]
        marks = ["[]" if part.endswith("[]") else "" for part in parts]
        return ".".join(name + mark for name, mark in zip(told, marks, strict=True))


def _input(document: Json, offer: Json, names: _Names) -> Json:
    schema: Json = _renamed(document["input_schema"], names, at="")
    for name, value in document.get("operator_fields", {}).items():
        schema["properties"].setdefault(name, _operator_field(value))
    schema["required"] = [names.field(name) for name in offer.get("required", ())]
    _note(schema, names, document)
    for path in offer.get("lists", ()):
        _make_list(_at(schema, names, path))
    return schema


def _make_list(field: Json) -> None:
    """Let a field be a list of one, which KIE asks for where the product has a single value."""
    if field.get("type") != "array":
        item = {key: field.pop(key) for key in [*field] if not key.startswith("x-")}
        field.update({"type": "array", "items": item, "minItems": 1, "maxItems": 1})


def _operator_field(value: Any) -> Json:
    kinds: list[tuple[type, Json]] = [
        (bool, {"type": "boolean"}),
        (int, {"type": "number"}),
        (str, {"type": "string"}),
    ]
    return next((schema for kind, schema in kinds if isinstance(value, kind)), {})


def _renamed(schema: Any, names: _Names, *, at: str) -> Any:
    """Return a schema whose properties have KIE's names, at every level and in every rule."""
    if not isinstance(schema, dict):
        return schema
    return {key: _keyword(key, value, names, at=at) for key, value in schema.items()}


def _keyword(key: str, value: Any, names: _Names, *, at: str) -> Any:
    here: Callable[[str], str] = lambda name: f"{at}{name}"  # noqa: E731 - a name for one place
    match key:
        case "properties":
            return {
                names.field(here(name)): _renamed(each, names, at=f"{at}{name}.")
                for name, each in value.items()
            }
        case "required":
            return [names.field(here(name)) for name in value]
        case "items":
            return _renamed(value, names, at=f"{at.removesuffix('.')}[]." if at else "")
        case "allOf" | "anyOf" | "oneOf":
            return [_renamed(each, names, at=at) for each in value]
        case "if" | "then" | "else" | "not":
            return _renamed(value, names, at=at)
        case _:
            return value


def _note(schema: Json, names: _Names, document: Json) -> None:
    """Write beside the fields what their addresses lead to and what their ids name."""
    for media in document.get("media_inputs", ()):
        field = _at(schema, names, media["name"])
        limits = {key: media[key] for key in media if key.startswith(("max_", "min_"))}
        field["x-media"] = {"kind": media["kind"], "types": media.get("mime_types", []), **limits}
    for reference in document.get("reference_inputs", ()):
        field = _at(schema, names, reference["name"])
        field["x-ref"] = {"kind": reference["part"], "of": reference.get("models", [])}


def _at(schema: Json, names: _Names, path: str) -> Json:
    """Return the schema of the field at a path."""
    for name in names.path(path).split("."):
        properties = schema.get("items", schema)["properties"]
        schema = properties.setdefault(name.removesuffix("[]"), {})
    return schema


def _check(check: Json, names: _Names) -> Json:
    rule = check.get("difference")
    if rule is None:
        return check
    at = f"{rule['in']}[]." if "in" in rule else ""
    told = {key: names.field(f"{at}{rule[key]}") for key in ("from", "to")}
    inside = {"in": names.field(rule["in"])} if at else {}
    return {"difference": {**rule, **told, **inside}}


def _price(price: Json, names: _Names) -> Price:
    parts = [_part(each, names) for each in price.get("parts", ())]
    return Price.model_validate({"parts": parts, "note": price.get("note", "")})


def _part(part: Json, names: _Names) -> Json:
    rates = [
        {**rate, "when": {names.field(name): value for name, value in rate.get("when", {}).items()}}
        for rate in part["rates"]
    ]
    return {**part, "rates": rates, "times": [_quantity(each, names) for each in part["times"]]}


def _quantity(quantity: Json, names: _Names) -> Json:
    """Return a quantity in which every field has KIE's name."""
    told: Json = dict(quantity)
    for key in ("field", "items", "seconds_of", "characters", "divided_by"):
        if key in told:
            told[key] = names.path(told[key])
    if "longest_of" in told:
        told["longest_of"] = [names.path(name) for name in told["longest_of"]]
    if "megapixels" in told:
        table = told["megapixels"]
        told["megapixels"] = {**table, "field": names.path(table["field"])}
    return told
