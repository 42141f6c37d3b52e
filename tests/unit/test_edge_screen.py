import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import job_pb2, model_pb2
from atelier.generation.v1.delivery_pb2 import Delivery
from atelier.generation.v1.media_pb2 import Media
from edge_bot.conversation.draft import Stage, stage_of
from edge_bot.conversation.draft_screen import (
    HINT_LENGTH,
    choices_screen,
    draft_screen,
    models_for_screen,
    options_screen,
)
from edge_bot.conversation.session import Draft
from edge_bot.service_clock import ServiceClock
from edge_bot.view import notice
from edge_bot.view.button import Action, Again, Cancel, Change, Discard, Original, ShowAll
from edge_bot.view.button_data import decode
from edge_bot.view.catalog import Catalog
from edge_bot.view.language import texts
from edge_bot.view.layout import (
    CAPTION_LENGTH,
    TEXT_LENGTH,
    Rows,
    Screen,
    keyboard_markup,
    shorten,
    span,
    usual_time,
)
from edge_bot.view.outcome import (
    arrived_screen,
    cancelled_screen,
    failure_screen,
    finished_screen,
    missed_screen,
    result_buttons,
    result_caption,
)
from edge_bot.view.progress import (
    cancel_question_screen,
    job_screen,
    progress_screen,
    starting_screen,
    waiting_on_screen,
)
from edge_bot.view.too_large import too_large_note
from edge_bot.view.welcome import KINDS, cleared_screen, help_screen, models_screen, welcome_screen
from tests.edge_model import catalog, job, switched_off

CATALOG = catalog()
LANGUAGES = ["en", "ru"]
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NASTY = "<b>5 > 3 & 🎨</b> " * 300
TAG = re.compile(r"</?(b|i)>")
CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)


def visible(html: str) -> str:
    """Return what Telegram shows, having checked that the tags are balanced."""
    for tag in ("b", "i"):
        assert html.count(f"<{tag}>") == html.count(f"</{tag}>")
    plain = TAG.sub("", html)
    assert not re.search(r"[<>]|&(?!lt;|gt;|amp;)", plain), plain
    return unescape(plain)


def length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def actions(rows: Rows) -> list[type[Action]]:
    return [type(button.action) for row in rows for button in row]


def delivery(of: job_pb2.Job, *, place: int = 0, language: str = "en") -> Delivery:
    made = Delivery(job=of, queue_position=place)
    made.telegram.language_code = language
    made.usual_duration.FromSeconds(5)
    return made


def prompt_screen(model: model_pb2.Model, language: str) -> Screen:
    draft = Draft(id="0123456789", kind=model.kind, model_id=model.id, picture="upload:1")
    return draft_screen(draft, language, catalog=Catalog((model,)))


def drafts() -> list[Draft]:
    chosen = [
        Draft(id="0123456789", kind=model.kind, model_id=model.id) for model in CATALOG.models
    ]
    with_prompt = [draft.model_copy(update={"prompt": NASTY[:900]}) for draft in chosen]
    confirmed = [draft.model_copy(update={"picture": "upload:1"}) for draft in with_prompt]
    changing = [draft.model_copy(update={"is_changing_prompt": True}) for draft in confirmed]
    overlong = [draft.model_copy(update={"overlong": 6001}) for draft in changing]
    begun = [Draft(id="0123456789"), Draft(id="0123456789", picture="upload:1")]
    return [
        *begun,
        Draft(id="0123456789", kind=1),
        *chosen,
        *with_prompt,
        *confirmed,
        *changing,
        *overlong,
    ]


def screens(language: str) -> list[Screen]:
    jobs = [job(state, prompt=NASTY) for state in job_pb2.JobState.values()[1:]]
    delayed = []
    for reason in job_pb2.DelayReason.values():
        delayed.append(job(job_pb2.JOB_STATE_QUEUED))
        delayed[-1].delay_reason = reason
    failed = []
    for failure in job_pb2.FailureReason.values():
        failed.append(job(job_pb2.JOB_STATE_FAILED))
        failed[-1].failure.reason = failure
    edit = CATALOG.models[-1]
    edited = Draft(id="0123456789", kind=edit.kind, model_id=edit.id)
    return [
        welcome_screen(language, catalog=CATALOG),
        models_screen(language, catalog=CATALOG),
        help_screen(language, catalog=CATALOG),
        cleared_screen(language),
        starting_screen(language, prompt=NASTY),
        *(draft_screen(each, language, catalog=CATALOG) for each in drafts()),
        models_for_screen(drafts()[2], language, catalog=CATALOG),
        options_screen(edited, language, model=edit),
        *(choices_screen(edited, language, option=option) for option in edit.options),
        *(job_screen(each, language, now=NOW, usual_s=150) for each in [*jobs, *delayed]),
        *(progress_screen(delivery(each, place=3, language=language), now=NOW) for each in jobs),
        *(failure_screen(each, language) for each in failed),
        *(cancel_question_screen(each, language) for each in jobs),
        cancel_question_screen(jobs[0], language, is_apart=True),
        waiting_on_screen(language),
        cancelled_screen(jobs[-1], language),
        *(arrived_screen(drawn(pictures), language, title="Z-Image") for pictures in (0, 1, 3)),
        *(missed_screen(count, language) for count in (1, 2, 5)),
        *(Screen(text) for text in notices(language)),
    ]


def drawn(pictures: int) -> job_pb2.Job:
    made = job(job_pb2.JOB_STATE_SUCCEEDED, prompt=NASTY)
    made.result.media.extend(Media(id=f"m{number}") for number in range(pictures))
    return made


def notices(language: str) -> list[str]:
    return [
        notice.stale_draft(language),
        notice.unknown_button(language),
        notice.on_its_way(language),
        notice.job_gone(language),
        notice.nothing_to_send(language),
        notice.here_they_are(language),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_is_sound(language: str) -> None:
    for screen in screens(language):
        assert 0 < length(visible(screen.text)) <= TEXT_LENGTH
        assert CYRILLIC.search(screen.text) is None or language == "ru"
        assert CYRILLIC.search(screen.text) or language == "en"
        for row in screen.keyboard:
            assert row
            for button in row:
                assert 0 < length(button.label) <= 64
        markup = keyboard_markup(screen.keyboard)
        pressable = [each for row in (markup.inline_keyboard if markup else ()) for each in row]
        assert None not in [decode(str(each.callback_data)) for each in pressable]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_screen_names_a_field(language: str) -> None:
    shown = " ".join(
        [screen.text for screen in screens(language)]
        + [b.label for screen in screens(language) for row in screen.keyboard for b in row]
    )
    assert not re.search(r"aspect_ratio|image_size|num_images|square_hd|landscape_", shown)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_caption_holds_the_prompt_and_fits(language: str) -> None:
    short = result_caption(job(prompt="a <cat> & a dog"), language, title="Z-Image")
    assert "a <cat> & a dog" in visible(short)
    assert "Z-Image" in short
    long = visible(result_caption(job(prompt=NASTY), language, title="Z" * 200))
    assert length(long) <= CAPTION_LENGTH
    assert "…" in long


def test_a_confirmation_says_model_prompt_options_price_and_time() -> None:
    draft = Draft(id="0123456789", kind=1, model_id="z-image", prompt="a <cat>")
    assert stage_of(draft, CATALOG) is Stage.CONFIRM
    shown = visible(draft_screen(draft, "en", catalog=CATALOG).text)
    for words in ("Z-Image", "a <cat>", "Aspect ratio: Square 1:1", "Price: free.", "5 seconds"):
        assert words in shown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.id)
def test_asking_for_a_prompt_hints_at_what_to_write(model: model_pb2.Model, language: str) -> None:
    shown = visible(prompt_screen(model, language).text)
    assert model.hints[language] in shown


def test_a_hint_is_escaped_and_cut() -> None:
    model = model_pb2.Model()
    model.CopyFrom(CATALOG.models[0])
    model.hints["en"] = NASTY
    shown = visible(prompt_screen(model, "en").text)
    assert shorten(NASTY, HINT_LENGTH) in shown
    assert NASTY not in shown


def test_a_model_without_hints_is_asked_for_all_the_same() -> None:
    model = model_pb2.Model()
    model.CopyFrom(CATALOG.models[0])
    model.ClearField("hints")
    assert "What shall I draw?\n\nWrite it" in visible(prompt_screen(model, "en").text)


def test_the_value_in_force_is_marked() -> None:
    model = CATALOG.find("z-image")
    assert model is not None
    draft = Draft(id="0123456789", kind=1, model_id="z-image", options={"aspect_ratio": "16:9"})
    screen = choices_screen(draft, "en", option=model.options[0])
    assert [row[0].label for row in screen.keyboard if "✓" in row[0].label] == ["✓ Wide 16:9"]


def test_an_overlong_text_is_told_with_both_numbers() -> None:
    draft = Draft(id="0123456789", kind=1, model_id="z-image", overlong=1001)
    shown = draft_screen(draft, "ru", catalog=CATALOG).text
    assert "1001 знак" in shown
    assert "1000" in shown


@pytest.mark.parametrize(
    ("place", "words"),
    [(0, "You are next."), (1, "1 picture ahead"), (4, "4 pictures ahead")],
    ids=["next", "one", "several"],
)
def test_the_queue_is_told_by_place(place: int, words: str) -> None:
    queued = delivery(job(job_pb2.JOB_STATE_QUEUED), place=place)
    screen = progress_screen(queued, now=NOW)
    assert words in screen.text
    assert actions(screen.keyboard) == [Cancel]


def test_progress_tells_what_is_known_and_no_more() -> None:
    shown = progress_screen(delivery(job(), language="ru"), now=NOW, title="Z-Image").text
    assert "Z-Image рисует" in shown
    assert "около 5 секунд" in shown
    assert "%" not in shown


def test_a_delay_takes_the_place_of_the_usual_time() -> None:
    waiting = job(job_pb2.JOB_STATE_QUEUED)
    waiting.delay_reason = job_pb2.DELAY_REASON_PROVIDER_MAINTENANCE
    shown = progress_screen(delivery(waiting), now=NOW).text
    assert "maintenance" in shown
    assert "usually" not in shown


def test_a_finished_job_says_its_model_and_time() -> None:
    done = job(job_pb2.JOB_STATE_SUCCEEDED)
    done.result.media.append(Media(id="m"))
    screen = finished_screen(done, "ru", title="Z-Image")
    assert screen == Screen("✅ <b>Готово:</b> Z-Image, 6 секунд")


def test_an_album_has_its_buttons_on_the_finished_screen() -> None:
    done = job(job_pb2.JOB_STATE_SUCCEEDED)
    done.result.media.extend([Media(id="a"), Media(id="b")])
    assert actions(finished_screen(done, "en").keyboard) == [Again, Change, Original]
    rows = result_buttons(done, "en", is_first_of_album=True)
    assert actions(rows) == [Again, Change, ShowAll, Original]


def test_every_failure_is_told_in_words_of_its_own_and_can_be_tried_again() -> None:
    told = set()
    for reason in list(job_pb2.FailureReason.values())[1:]:
        failed = job(job_pb2.JOB_STATE_FAILED)
        failed.failure.reason, failed.failure.message = reason, "KIE said 501"
        screen = failure_screen(failed, "en")
        assert "KIE" not in screen.text
        assert actions(screen.keyboard)[-2:] == [Again, Change]
        told.add(screen.text)
    # A failed and a lost generation are the same to the user.
    assert len(told) == len(job_pb2.FailureReason.values()) - 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("is_picture", [True, False])
def test_a_failure_is_told_in_one_message_and_the_other_only_ends(
    language: str, is_picture: bool
) -> None:
    failed = job(job_pb2.JOB_STATE_FAILED)
    told = failure_screen(failed, language, is_picture=is_picture).text
    ended = job_screen(failed, language, now=NOW, title="Imagen", is_picture=is_picture)
    assert told.partition("</b>")[0] not in ended.text
    assert "Imagen" in ended.text
    assert not ended.keyboard


def test_a_failure_says_which_picture_it_is_about() -> None:
    failed = job(job_pb2.JOB_STATE_FAILED)
    failed.inputs["prompt"] = "a <fox>"
    assert "<i>a &lt;fox&gt;</i>" in failure_screen(failed, "en").text


def test_cancelling_says_what_it_means_while_running() -> None:
    assert "cannot be stopped" in cancel_question_screen(job(), "en").text
    queued = job(job_pb2.JOB_STATE_QUEUED)
    assert "cannot be stopped" not in cancel_question_screen(queued, "en").text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 секунда"), (22, "22 секунды"), (119, "119 секунд"), (180, "3 минуты")],
    ids=repr,
)
def test_a_length_of_time_is_told_in_words(seconds: float, words: str) -> None:
    assert span(texts("ru"), seconds) == words


def test_an_unknown_time_is_not_told() -> None:
    assert usual_time(texts("en"), 0) == ""


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("🎨🎨", 3, "🎨…"), ("a bcd", 3, "a…")],
    ids=["fits", "cut", "whole characters", "no space before"],
)
def test_a_text_is_cut_as_telegram_counts(text: str, limit: int, expected: str) -> None:
    assert shorten(text, limit) == expected


def test_models_that_do_not_fit_are_left_to_their_buttons() -> None:
    many = catalog()
    model = model_pb2.Model()
    model.CopyFrom(many.models[0])
    model.descriptions["en"] = "x" * 900
    screen = models_screen("en", catalog=type(many)((model,) * 8))
    assert length(visible(screen.text)) <= TEXT_LENGTH
    assert len(screen.keyboard) == 8


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_model_is_off_by_the_time_of_the_service(hours: int) -> None:
    clock = ServiceClock()
    expire_time = Timestamp()
    expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=hours, seconds=20))
    clock.learn(expire_time, lease_s=20)
    for minutes, is_off in ((5, True), (-5, False)):
        off = switched_off(*KINDS, hours=hours + minutes / 60)
        assert (Catalog(off.models, clock).offered == ()) == is_off


def test_a_service_that_tells_no_time_is_taken_to_have_ours() -> None:
    clock = ServiceClock()
    clock.learn(Timestamp(), lease_s=20)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def waiting(reason: job_pb2.DelayReason.ValueType, *, seconds: float = 119) -> job_pb2.Job:
    made = job(job_pb2.JOB_STATE_QUEUED)
    made.delay_reason = reason
    made.delay_until_time.FromDatetime(NOW + timedelta(seconds=seconds))
    return made


@pytest.mark.parametrize(("language", "words"), [("en", "You are next"), ("ru", "следующая")])
def test_who_waits_for_an_answer_is_not_told_to_be_next(language: str, words: str) -> None:
    made = waiting(job_pb2.DELAY_REASON_PROVIDER_UNCONFIRMED)
    assert words not in progress_screen(delivery(made, language=language), now=NOW).text
    made.delay_reason = job_pb2.DELAY_REASON_UNSPECIFIED
    assert words in progress_screen(delivery(made, language=language), now=NOW).text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("drawn twice", "At most 70 seconds more", "UTC", "You can cancel")),
        ("ru", ("дважды", "Максимум ещё 70 секунд", "UTC", "Можно отменить")),
    ],
)
def test_who_waits_for_an_answer_reads_for_what_and_until_when(
    language: str, words: tuple[str, ...]
) -> None:
    made = waiting(job_pb2.DELAY_REASON_PROVIDER_UNCONFIRMED, seconds=70)
    screen = progress_screen(delivery(made, language=language), now=NOW)
    assert all(each in screen.text for each in words)
    assert f"{made.delay_until_time.ToDatetime():%H:%M} UTC" in screen.text
    assert actions(screen.keyboard) == [Cancel]


def test_a_wait_that_is_over_names_no_time() -> None:
    made = waiting(job_pb2.DELAY_REASON_PROVIDER_UNCONFIRMED, seconds=-1)
    assert "UTC" not in progress_screen(delivery(made), now=NOW).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_late_result_is_not_said_to_be_drawn_still(language: str) -> None:
    made = waiting(job_pb2.DELAY_REASON_RESULT_DELAYED)
    made.state = job_pb2.JOB_STATE_RUNNING
    text = progress_screen(delivery(made, language=language), now=NOW).text
    assert "is drawing…" not in text
    assert "UTC" in text
    assert not re.search("You can cancel|Можно отменить", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_result_says_what_it_lacks(language: str) -> None:
    made = job(job_pb2.JOB_STATE_SUCCEEDED, prompt=NASTY)
    whole = result_caption(made, language)
    made.result.missing_count = 2
    for text in (result_caption(made, language), finished_screen(made, language).text):
        assert "⚠️" in text
        assert length(visible(text)) <= CAPTION_LENGTH
    assert "⚠️" not in whole


@pytest.mark.parametrize(("count", "shown_count"), [(4, 4), (8, 8), (16, 8)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_caption_with_links_fits_as_telegram_counts(
    language: str, count: int, shown_count: int
) -> None:
    made = job(job_pb2.JOB_STATE_SUCCEEDED, prompt=NASTY)
    made.result.missing_count = 2
    for _ in range(count):
        media = made.result.media.add(size_bytes=10**9, title="🎨" * 40, mime_type="video/mp4")
        media.download_uri = "https://media.example/media/token"
    caption = result_caption(made, language, title="Z" * 200)
    shown = re.sub("<a href=[^>]*>|</a>", "", caption)
    assert length(visible(shown)) <= CAPTION_LENGTH
    assert shown.count("⬇️") == shown_count
    assert too_large_note(made.result.media, texts(language)).count("⬇️") == count


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "None of the models for this"), ("ru", "ни одна подходящая модель")],
)
@pytest.mark.parametrize("kind", [0, *KINDS])
def test_models_that_are_all_off_are_told_of(kind: int, language: str, words: str) -> None:
    off = switched_off(*KINDS)
    for picture in ("", "upload:1"):
        draft = Draft(id="0123456789", kind=kind, picture=picture, prompt="a cat")
        screen = draft_screen(draft, language, catalog=off)
        assert words in screen.text
        assert actions(screen.keyboard) == [Discard]
    assert words in models_screen(language, catalog=off).text


def test_a_model_that_is_off_keeps_its_name_and_is_not_offered() -> None:
    models = [model_pb2.Model.FromString(each.SerializeToString()) for each in CATALOG.models]
    models[0].unavailable_until_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=5))
    partial = Catalog(tuple(models))
    assert models[0] not in partial.of_kind(models[0].kind)
    assert partial.title(models[0].id, "en") == CATALOG.title(models[0].id, "en")
    name = CATALOG.title(models[0].id, "en")
    assert name not in models_screen("en", catalog=partial).text
    models[0].unavailable_until_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    assert name in models_screen("en", catalog=partial).text
