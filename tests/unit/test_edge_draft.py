from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value

from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE, MEDIA_KIND_VIDEO, MediaKind
from atelier.generation.v1.model_pb2 import (
    MODEL_KIND_EDIT,
    MODEL_KIND_IMAGE_TO_IMAGE,
    MODEL_KIND_TEXT_TO_IMAGE,
    MediaInput,
    Model,
    ModelOption,
)
from edge_bot.conversation.draft import (
    Stage,
    chosen_value,
    draft_from_job,
    inputs_of,
    scalar,
    stage_of,
    with_choice,
    with_model,
    with_picture,
    with_text,
)
from edge_bot.conversation.session import MAX_DRAFTS, MAX_REPLIES, Draft, OptionValue, Session
from edge_bot.view.button import (
    Action,
    ChangePrompt,
    PickKind,
    PickModel,
    SetOption,
    ShowDraft,
    ShowOptions,
    UseExample,
)
from edge_bot.view.catalog import Catalog
from edge_bot.view.shape import nearest_choice
from tests.edge_model import catalog, catalog_of_0_1, switched_off

CATALOG = catalog()
TEXT_DRAFT = Draft(
    id="old", kind=MODEL_KIND_TEXT_TO_IMAGE, model_id="qwen/text-to-image", prompt="a dog"
)
EDIT_DRAFT = Draft(
    id="old", kind=MODEL_KIND_EDIT, model_id="qwen/image-edit", prompt="hat", picture="upload:1"
)


def draft(**fields: Any) -> Draft:
    return Draft(id="old", **fields)


def say(current: Draft | None, text: str = "a cat") -> Draft:
    return with_text(current, text, new_id="new", catalog=CATALOG)


def send(current: Draft | None, *, caption: str = "", size: tuple[int, int] = (0, 0)) -> Draft:
    return with_picture(
        current, "upload:2", caption=caption, new_id="new", catalog=CATALOG, size=size
    )


def press(current: Draft, action: Action) -> Draft:
    return with_choice(current, action, language="en", catalog=CATALOG)


@pytest.mark.parametrize(
    ("current", "stage"),
    [
        (draft(), Stage.KIND),
        (draft(kind=MODEL_KIND_EDIT), Stage.MODEL),
        (draft(kind=MODEL_KIND_EDIT, model_id="gone"), Stage.MODEL),
        (draft(kind=MODEL_KIND_EDIT, model_id="qwen/image-edit"), Stage.PICTURE),
        (EDIT_DRAFT.model_copy(update={"prompt": ""}), Stage.PROMPT),
        (EDIT_DRAFT.model_copy(update={"is_changing_prompt": True}), Stage.PROMPT),
        (EDIT_DRAFT, Stage.CONFIRM),
        (TEXT_DRAFT, Stage.CONFIRM),
    ],
    ids=["kind", "model", "model gone", "picture", "prompt", "other prompt", "edit", "text"],
)
def test_what_is_missing_is_asked_next(current: Draft, stage: Stage) -> None:
    assert stage_of(current, CATALOG) is stage


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (None, ("new", "z-image", "a cat")),
        (TEXT_DRAFT.model_copy(update={"job_id": "done"}), ("new", "z-image", "a cat")),
        (TEXT_DRAFT, ("new", "qwen/text-to-image", "a cat")),
        (EDIT_DRAFT, ("new", "qwen/image-edit", "a cat")),
        (draft(kind=MODEL_KIND_TEXT_TO_IMAGE), ("old", "z-image", "a cat")),
        (draft(kind=2, model_id="qwen/image-to-image"), ("old", "qwen/image-to-image", "a cat")),
        (draft(picture="upload:1"), ("old", "qwen/image-edit", "a cat")),
        (draft(), ("new", "z-image", "a cat")),
        (
            EDIT_DRAFT.model_copy(update={"is_changing_prompt": True}),
            ("old", "qwen/image-edit", "a cat"),
        ),
    ],
    ids=[
        "nothing begun",
        "became a job",
        "text confirmed",
        "edit confirmed",
        "no model yet",
        "before the picture",
        "picture without a wish",
        "nothing chosen",
        "other prompt",
    ],
)
def test_a_text_is_a_prompt(current: Draft | None, expected: tuple[str, str, str]) -> None:
    after = say(current)
    assert (after.id, after.model_id, after.prompt) == expected


@pytest.mark.parametrize(
    ("current", "caption", "expected"),
    [
        (None, "make it red", ("new", "qwen/image-edit", Stage.CONFIRM)),
        (None, "", ("new", "", Stage.KIND)),
        (TEXT_DRAFT, "", ("new", "", Stage.KIND)),
        (draft(kind=3, model_id="qwen/image-edit"), "", ("old", "qwen/image-edit", Stage.PROMPT)),
        (
            draft(kind=2, model_id="qwen/image-to-image", prompt="oil"),
            "",
            ("old", "qwen/image-to-image", Stage.CONFIRM),
        ),
        (EDIT_DRAFT, "", ("new", "qwen/image-edit", Stage.CONFIRM)),
        (EDIT_DRAFT.model_copy(update={"job_id": "done"}), "", ("new", "", Stage.KIND)),
    ],
    ids=["caption", "alone", "after text", "asked for", "prompt known", "another", "became a job"],
)
def test_a_picture_goes_where_it_is_wanted(
    current: Draft | None, caption: str, expected: tuple[str, str, Stage]
) -> None:
    after = send(current, caption=caption)
    assert (after.id, after.model_id, stage_of(after, CATALOG)) == expected
    assert after.picture == "upload:2"


def test_the_only_model_of_a_kind_is_chosen_with_it() -> None:
    assert press(draft(), PickKind("", MODEL_KIND_IMAGE_TO_IMAGE)).model_id == "qwen/image-to-image"
    assert press(draft(), PickKind("", MODEL_KIND_TEXT_TO_IMAGE)).model_id == ""


def test_a_kind_that_no_model_has_is_not_chosen() -> None:
    assert stage_of(press(draft(), PickKind("", 99)), CATALOG) is Stage.KIND


def test_a_text_longer_than_the_model_takes_is_refused_with_its_length() -> None:
    after = say(None, "x" * 1001)
    assert (after.prompt, after.overlong, stage_of(after, CATALOG)) == ("", 1001, Stage.PROMPT)
    assert say(after, "short").overlong == 0


def test_a_prompt_too_long_for_another_model_is_not_kept() -> None:
    long = TEXT_DRAFT.model_copy(update={"prompt": "x" * 1001})
    after = press(with_model(long, "z-image", catalog=CATALOG), ShowDraft("old"))
    assert (after.prompt, stage_of(after, CATALOG)) == ("", Stage.PROMPT)


def test_another_model_keeps_the_prompt_and_drops_foreign_options() -> None:
    current = TEXT_DRAFT.model_copy(update={"options": {"image_size": "square"}})
    after = press(current, PickModel("old", "z-image"))
    assert (after.prompt, after.model_id, after.options) == ("a dog", "z-image", {})


def test_an_option_is_set_by_its_place() -> None:
    after = press(EDIT_DRAFT, SetOption("old", "num_images", 2))
    assert after.options == {"num_images": "3"}
    assert press(EDIT_DRAFT, SetOption("old", "num_images", 99)) == EDIT_DRAFT
    assert press(EDIT_DRAFT, SetOption("old", "nothing", 0)) == EDIT_DRAFT


def test_an_example_becomes_the_prompt() -> None:
    current = draft(kind=1, model_id="z-image")
    assert press(current, UseExample("old", 1)).prompt.startswith("A lighthouse")
    assert press(current, UseExample("old", 7)) == current


def test_going_back_from_the_prompt_keeps_the_old_one() -> None:
    asked = press(TEXT_DRAFT, ChangePrompt("old"))
    assert stage_of(asked, CATALOG) is Stage.PROMPT
    assert press(asked, ShowDraft("old")) == TEXT_DRAFT


def test_looking_at_options_changes_nothing() -> None:
    assert press(TEXT_DRAFT, ShowOptions("old")) == TEXT_DRAFT


def test_inputs_are_what_the_confirmation_shows() -> None:
    model = CATALOG.find("qwen/image-edit")
    assert model is not None
    chosen = press(EDIT_DRAFT, SetOption("old", "num_images", 1))
    assert inputs_of(chosen, model) == {
        "prompt": "hat",
        "image": "upload:1",
        "image_size": "landscape_4_3",
        "num_images": "2",
    }


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((600, 1067), "portrait_16_9"),
        ((1067, 600), "landscape_16_9"),
        ((3024, 4032), "portrait_4_3"),
        ((4032, 3024), "landscape_4_3"),
        ((800, 800), "square_hd"),
        ((900, 1000), "square_hd"),
        ((10, 1000), "portrait_16_9"),
        ((0, 0), "landscape_4_3"),
        ((0, 90), "landscape_4_3"),
    ],
    ids=str,
)
def test_the_default_size_is_the_nearest_to_the_picture(
    size: tuple[int, int], expected: str
) -> None:
    taken = send(None, caption="hat", size=size)
    model = CATALOG.find("qwen/image-edit")
    assert model is not None
    assert inputs_of(taken, model)["image_size"] == expected
    chosen = press(taken, SetOption("new", "image_size", 0))
    assert inputs_of(chosen, model)["image_size"] == "square"
    another = with_picture(
        chosen, "upload:3", caption="", new_id="newer", catalog=CATALOG, size=(5, 9)
    )
    assert inputs_of(another, model)["image_size"] == "square"


@pytest.mark.parametrize(
    ("choices", "default", "size", "expected"),
    [
        (("1:1", "3:4", "9:16"), "1:1", (600, 800), "3:4"),
        (("1024x1024", "1024x1536", "1536x1024"), "1024x1024", (2, 3), "1024x1536"),
        (("auto", "1:1", "9:16"), "auto", (9, 16), None),
        (("auto", "1:1", "9:16"), "1:1", (9, 16), "9:16"),
        (("1", "2", "3"), "1", (9, 16), None),
        (("png", "jpeg"), "png", (9, 16), None),
        (("0:1", "1:1"), "1:1", (9, 16), "1:1"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, tuple) and value[0] == "auto" else "",
)
def test_shapes_are_read_as_providers_name_them(
    choices: tuple[str, ...], default: str, size: tuple[int, int], expected: str | None
) -> None:
    option = ModelOption(field="shape")
    option.default_value.string_value = default
    for each in choices:
        option.choices.add().value.string_value = each
    found = nearest_choice(option, size=size)
    assert (found.value.string_value if found else None) == expected


def test_a_session_keeps_the_drafts_of_its_messages() -> None:
    session = Session()
    for number in range(MAX_DRAFTS + 3):
        session = session.with_current(Draft(id=f"{number:08}", prompt=f"{number}"))
    assert len(session.others) == MAX_DRAFTS
    oldest = session.find_draft(f"{2:08}")
    assert oldest is not None
    assert session.find_draft(f"{1:08}") is None
    assert session.find_draft("") is None
    made = session.with_changed(oldest.model_copy(update={"job_id": "job"}))
    assert made.draft == session.draft
    assert len(made.others) == MAX_DRAFTS
    again = made.with_current(oldest)
    assert (again.draft, len(again.others)) == (oldest, MAX_DRAFTS)
    assert [each.id for each in made.without_unmade_drafts().others] == [oldest.id]
    assert made.without_draft(oldest).find_draft(oldest.tag) is None
    assert Session.model_validate_json(made.packed()) == made


def test_what_is_noted_once_more_is_the_latest() -> None:
    session = Session().with_reply("press:first", 0)
    for number in range(MAX_REPLIES - 1):
        session = session.with_reply(f"press:{number}", 1)
    session = session.with_reply("press:first", 5).with_reply("press:last", 1)
    assert session.replies["press:first"] == 5
    assert "press:0" not in session.replies
    assert len(session.replies) == MAX_REPLIES


def test_a_job_becomes_a_draft_again() -> None:
    inputs: dict[str, OptionValue] = {"prompt": "hat", "image": "upload:1", "num_images": "2"}
    after = draft_from_job(inputs, model_id="qwen/image-edit", new_id="new", catalog=CATALOG)
    assert (after.prompt, after.picture, after.options) == ("hat", "upload:1", {"num_images": "2"})
    assert stage_of(after, CATALOG) is Stage.CONFIRM


@pytest.mark.parametrize("models", [CATALOG, catalog_of_0_1()], ids=["0.2", "0.1"])
def test_the_picture_is_asked_for_whichever_release_serves(models: Catalog) -> None:
    asks = {
        each.id: stage_of(with_model(draft(), each.id, catalog=models), models)
        for each in models.models
    }
    assert asks == {
        "z-image": Stage.PROMPT,
        "qwen/text-to-image": Stage.PROMPT,
        "qwen/image-to-image": Stage.PICTURE,
        "qwen/image-edit": Stage.PICTURE,
    }
    model = models.find("qwen/image-edit")
    assert model is not None
    assert inputs_of(EDIT_DRAFT, model)["image"] == "upload:1"


def several(*media: MediaInput) -> Catalog:
    """Return a catalog with one model, that takes this media."""
    model = Model(id="film", kind=MODEL_KIND_EDIT, media_inputs=media, titles={"en": "Film"})
    model.pricing.is_free = True
    return Catalog((model,))


def takes(name: str, least: int, kind: MediaKind.ValueType = MEDIA_KIND_IMAGE) -> MediaInput:
    return MediaInput(name=name, kind=kind, min_count=least, max_count=4, is_list=True)


def test_a_list_is_asked_for_as_one_picture() -> None:
    models = several(takes("mask", 0), takes("images", 1))
    current = draft(kind=MODEL_KIND_EDIT, model_id="film", prompt="hat")
    assert stage_of(current, models) is Stage.PICTURE
    again = draft_from_job(
        {"prompt": "hat", "images": scalar(listed("upload:1"))},
        model_id="film",
        new_id="new",
        catalog=models,
    )
    assert inputs_of(again, models.models[0]) == {"prompt": "hat", "images": "upload:1"}


def listed(*items: str) -> Value:
    value = Value()
    value.list_value.extend(items)
    return value


@pytest.mark.parametrize(
    "media",
    [
        [takes("images", 2)],
        [takes("image", 1), takes("mask", 1)],
        [takes("video", 1, MEDIA_KIND_VIDEO)],
        [takes("shots[].image", 1)],
    ],
    ids=str,
)
def test_a_model_that_needs_more_than_one_picture_is_not_offered(media: list[MediaInput]) -> None:
    models = several(*media)
    assert models.of_kind(MODEL_KIND_EDIT) == ()
    assert models.find("film") is not None


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [
        ("portrait_16_9", {"upload:1": (600, 1067)}, "landscape_16_9"),
        ("landscape_4_3", {}, "landscape_16_9"),
        ("square", {"upload:1": (600, 1067)}, "square"),
        ("landscape_4_3", {"upload:1": (600, 1067)}, "landscape_4_3"),
    ],
    ids=["worked out", "the model's default", "chosen", "the model's default, chosen"],
)
def test_another_picture_after_change_brings_its_own_shape_unless_one_was_chosen(
    shape: str, sizes: dict[str, tuple[int, int]], expected: str
) -> None:
    model = CATALOG.find("qwen/image-edit")
    assert model is not None
    inputs: dict[str, OptionValue] = {"prompt": "hat", "image": "upload:1", "image_size": shape}
    changed = draft_from_job(inputs, model_id=model.id, new_id="new", catalog=CATALOG, sizes=sizes)
    assert inputs_of(changed, model)["image_size"] == shape
    another = with_picture(
        changed, "upload:2", caption="", new_id="newer", catalog=CATALOG, size=(1067, 600)
    )
    assert inputs_of(another, model)["image_size"] == expected


@pytest.mark.parametrize("kind", [MODEL_KIND_TEXT_TO_IMAGE, MODEL_KIND_EDIT])
def test_what_to_do_stays_chosen_while_its_models_are_off(kind: int) -> None:
    off = switched_off(kind)
    chosen = with_choice(draft(), PickKind("old", kind), language="en", catalog=off)
    assert (chosen.kind, stage_of(chosen, off)) == (kind, Stage.MODEL)
    assert with_choice(draft(), PickKind("old", 99), language="en", catalog=off).kind == 0


def test_a_text_is_kept_until_a_model_for_it_is_back() -> None:
    off = switched_off(MODEL_KIND_TEXT_TO_IMAGE)
    waiting = with_text(None, "a cat", new_id="new", catalog=off)
    assert (waiting.prompt, stage_of(waiting, off)) == ("a cat", Stage.MODEL)
    back = press(waiting, PickModel("new", "z-image"))
    assert (back.prompt, stage_of(back, CATALOG)) == ("a cat", Stage.CONFIRM)


def test_a_job_whose_model_is_gone_keeps_its_prompt() -> None:
    after = draft_from_job({"prompt": "hat"}, model_id="gone", new_id="new", catalog=CATALOG)
    assert (after.prompt, stage_of(after, CATALOG)) == ("hat", Stage.KIND)


@pytest.mark.parametrize(
    ("field", "value"),
    [("number_value", 30.0), ("number_value", 2.5), ("bool_value", True), ("string_value", "1:1")],
    ids=repr,
)
def test_values_are_as_python_has_them(field: str, value: object) -> None:
    option = ModelOption()
    setattr(option.default_value, field, value)
    assert scalar(option.default_value) == value
    assert chosen_value(draft(), option) == value


@pytest.mark.parametrize(
    "step",
    [
        lambda before: press(before, PickKind("", MODEL_KIND_EDIT)),
        lambda before: press(before, PickModel("", "z-image")),
        lambda before: press(before, ChangePrompt("")),
        lambda before: press(before, SetOption("", "image_size", 0)),
    ],
    ids=["kind", "model", "change prompt", "option"],
)
def test_a_press_that_comes_twice_changes_nothing_more(step: Callable[[Draft], Draft]) -> None:
    assert step(step(TEXT_DRAFT)) == step(TEXT_DRAFT)


def test_a_session_remembers_the_latest_updates() -> None:
    session = Session()
    for number in range(MAX_REPLIES + 5):
        session = session.with_reply(f"message:{number}", number)
    session = session.with_reply("message:7", 70)
    assert len(session.replies) == MAX_REPLIES
    assert session.replies["message:7"] == 70
    assert "message:4" not in session.replies


def test_a_session_survives_being_written() -> None:
    session = Session(draft=EDIT_DRAFT.model_copy(update={"options": {"a": 1, "b": True}}))
    written = session.model_dump_json(exclude_defaults=True)
    assert Session.model_validate_json(written) == session
