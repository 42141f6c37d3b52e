"""How the sandbox KIE reads a model's document: the product's names become KIE's."""

import pytest

from sandbox.kie.document import entry_of
from sandbox.kie.entry import Entry, Json, media_in

DOCUMENT: Json = {
    "id": "vendor/film",
    "purpose": "text-to-video",
    "title": {"ru": "Фильм", "en": "Film"},
    "description": {"ru": "Снимает.", "en": "Films."},
    "input_schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string", "maxLength": 50},
            "image": {"type": "string"},
            "videos": {"type": "array", "items": {"type": "string"}},
            "elements": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pictures"],
                    "properties": {
                        "name": {"type": "string"},
                        "pictures": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
            "task": {"type": "string"},
            "begin": {"type": "integer"},
            "stop": {"type": "integer"},
            "mode": {"type": "string", "enum": ["std", "pro"], "default": "std"},
        },
        "allOf": [
            {
                "if": {"required": ["image"]},
                "then": {"required": ["videos"], "properties": {"task": False}},
            }
        ],
        "oneOf": [{"required": ["task"]}, {"not": {"required": ["task"]}}],
    },
    "media_inputs": [
        {"name": "image", "kind": "image", "mime_types": ["image/png"], "max_bytes": 9},
        {"name": "videos", "kind": "video", "mime_types": ["video/mp4"], "max_seconds": 7},
        {"name": "elements[].pictures", "kind": "image", "mime_types": ["image/png"]},
    ],
    "reference_inputs": [{"name": "task", "part": "task", "models": ["vendor/film"]}],
    "operator_fields": {"nsfw_checker": True, "watermark": None},
    "checks": [{"difference": {"from": "begin", "to": "stop", "minimum": 2}}],
    "result": {"kinds": ["video"], "shape": "urls", "max_bytes": 1},
    "offers": [
        {
            "provider": "kie",
            "model": "vendor/film-1",
            "fields": {
                "image": "image_urls",
                "videos": "video_urls",
                "elements": "kling_elements",
                "elements[].pictures": "element_input_urls",
                "task": "taskId",
                "begin": "start_s",
                "stop": "end_s",
            },
            "lists": ["image"],
            "required": ["prompt", "mode"],
            "price": {
                "parts": [
                    {
                        "rates": [{"when": {"videos": {"present": True}}, "credits": "2"}],
                        "times": [{"seconds_of": "videos"}, {"longest_of": ["videos", "image"]}],
                        "unit": "second",
                    },
                    {
                        "rates": [{"credits": "1"}],
                        "times": [{"items": "elements", "beyond": 1}],
                        "unit": "image",
                    },
                ]
            },
        }
    ],
}


@pytest.fixture
def entry() -> Entry:
    found = entry_of(DOCUMENT)
    assert found
    return found


def test_fields_have_kies_names_at_every_level(entry: Entry) -> None:
    assert [*entry.fields] == [
        *("prompt", "image_urls", "video_urls", "kling_elements", "taskId", "start_s", "end_s"),
        *("mode", "nsfw_checker", "watermark"),
    ]
    element = entry.fields["kling_elements"]["items"]
    assert [*element["properties"]] == ["name", "element_input_urls"]
    assert element["required"] == ["element_input_urls"]
    assert entry.fields["nsfw_checker"] == {"type": "boolean"}


def test_what_kie_requires_and_every_rule_speak_of_kies_names(entry: Entry) -> None:
    assert entry.input["required"] == ["prompt", "mode"]
    assert entry.input["allOf"] == [
        {
            "if": {"required": ["image_urls"]},
            "then": {"required": ["video_urls"], "properties": {"taskId": False}},
        }
    ]
    assert entry.input["oneOf"][1] == {"not": {"required": ["taskId"]}}
    assert entry.checks == [{"difference": {"from": "start_s", "to": "end_s", "minimum": 2}}]


def test_a_single_value_is_a_list_where_kie_wants_one(entry: Entry) -> None:
    field = entry.fields["image_urls"]
    assert (field["type"], field["items"]) == ("array", {"type": "string"})


def test_addresses_are_found_wherever_they_stand(entry: Entry) -> None:
    elements = [{"name": "cat", "element_input_urls": ["c", "d"]}]
    given = {"image_urls": ["a"], "video_urls": ["b"], "kling_elements": elements}
    found = [(each.field, each.url, each.kind) for each in media_in(entry, given)]
    assert found == [
        ("image_urls", "a", "image"),
        ("video_urls", "b", "video"),
        ("kling_elements[].element_input_urls", "c", "image"),
        ("kling_elements[].element_input_urls", "d", "image"),
    ]
    assert entry.fields["video_urls"]["x-media"]["max_seconds"] == 7
    assert entry.fields["taskId"]["x-ref"] == {"kind": "task", "of": ["vendor/film"]}


def test_the_price_counts_kies_fields(entry: Entry) -> None:
    first, second = entry.price.parts
    assert first.rates[0].when == {"video_urls": {"present": True}}
    assert first.times == [
        {"seconds_of": "video_urls"},
        {"longest_of": ["video_urls", "image_urls"]},
    ]
    assert second.times == [{"items": "kling_elements", "beyond": 1}]


def test_a_document_without_an_offer_of_kie_is_no_model_of_kie() -> None:
    assert entry_of({**DOCUMENT, "offers": [{"provider": "another"}]}) is None
