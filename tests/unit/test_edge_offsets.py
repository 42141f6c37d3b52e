from edge_bot.update.offsets import OffsetWindow


def opened(*ids: int, size: int = 100) -> OffsetWindow:
    window = OffsetWindow(size=size)
    assert all(window.add(one) for one in ids)
    return window


def test_the_offset_passes_what_is_handled() -> None:
    window = opened(5, 6)
    window.handled(5)
    assert window.offset == 6
    window.handled(6)
    assert (window.offset, len(window)) == (7, 0)


def test_an_unhandled_update_holds_the_offset_back() -> None:
    window = opened(5, 6, 7)
    window.handled(6)
    window.handled(7)
    assert window.offset == 0
    window.handled(5)
    assert window.offset == 8


def test_an_update_seen_again_is_known() -> None:
    window = opened(5, 6)
    window.handled(5)
    assert not window.add(5)
    assert not window.add(6)


def test_a_full_window_is_clogged_once_most_of_it_is_handled() -> None:
    window = opened(*range(1, 11), size=10)
    for one in range(2, 6):
        window.handled(one)
    assert not window.is_clogged
    window.handled(6)
    assert window.is_clogged
    assert window.offset == 0


def test_a_window_with_room_is_not_clogged() -> None:
    window = opened(*range(1, 10), size=10)
    for one in range(2, 10):
        window.handled(one)
    assert not window.is_clogged


def test_ids_may_begin_anywhere_once_nothing_is_left() -> None:
    window = opened(900)
    window.handled(900)
    window.confirmed()
    assert window.add(12)


def test_nothing_is_forgotten_while_something_is_open() -> None:
    window = opened(900, 901)
    window.handled(900)
    window.confirmed()
    assert window.offset == 901
