"""The grammar of broken pictures: what it draws reaches every check, and none of it breaks one."""

from collections import Counter

from generation_svc.media.examination.examine import examine_result, examine_upload
from generation_svc.media.examination.layout import Refused
from tests.fuzz.odd import Odd
from tests.fuzz.picture import Pictures

DRAWN = 1500


def test_whatever_is_drawn_is_a_picture_or_refused() -> None:
    answers: Counter[str] = Counter()
    draw = Pictures(Odd("pictures"))
    for _ in range(DRAWN):
        data = draw()
        try:
            found = examine_upload(data)
        except Refused as refusal:
            answers[refusal.text] += 1
            continue
        answers[found.mime_type] += 1
        again = examine_upload(found.data)
        assert (again.data, again.width, again.height) == (found.data, found.width, found.height)
        assert examine_result(data).mime_type == found.mime_type
    wanted = {"image/jpeg", "image/png", "image/webp", "The image is damaged or incomplete."}
    assert wanted <= set(answers)
    assert {f"The image has too many {each}." for each in ("scans", "segments")} <= set(answers)
