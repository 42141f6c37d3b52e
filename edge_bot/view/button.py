"""The actions of buttons: each is a dataclass whose fields are texts and whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edge_bot.view.action import Action as Action
from edge_bot.view.action import DraftAction as DraftAction
from edge_bot.view.action import FollowLink as FollowLink
from edge_bot.view.money_button import MONEY_ACTIONS


@dataclass(frozen=True, slots=True)
class Home(Action):
    """Start over."""

    code: ClassVar[str] = "s"


@dataclass(frozen=True, slots=True)
class PickKind(DraftAction):
    """Do this, one of ModelKind, with the draft's picture if a draft is named."""

    code: ClassVar[str] = "p"
    kind: int


@dataclass(frozen=True, slots=True)
class PickModel(DraftAction):
    """Use this model, for the draft if one is named."""

    code: ClassVar[str] = "m"
    model_id: str


@dataclass(frozen=True, slots=True)
class ShowModels(DraftAction):
    """Offer the other models that can do what the draft is about."""

    code: ClassVar[str] = "M"


@dataclass(frozen=True, slots=True)
class UseExample(DraftAction):
    """Take one of the model's example prompts."""

    code: ClassVar[str] = "e"
    index: int


@dataclass(frozen=True, slots=True)
class ShowDraft(DraftAction):
    """Go back to where the draft stands."""

    code: ClassVar[str] = "d"


@dataclass(frozen=True, slots=True)
class ShowOptions(DraftAction):
    """Offer the options."""

    code: ClassVar[str] = "o"


@dataclass(frozen=True, slots=True)
class ShowChoices(DraftAction):
    """Offer the values of one option."""

    code: ClassVar[str] = "O"
    field: str


@dataclass(frozen=True, slots=True)
class SetOption(DraftAction):
    """Take one value of an option, by its place among the choices."""

    code: ClassVar[str] = "v"
    field: str
    index: int


@dataclass(frozen=True, slots=True)
class ChangePrompt(DraftAction):
    """Ask for another prompt."""

    code: ClassVar[str] = "c"


@dataclass(frozen=True, slots=True)
class Generate(DraftAction):
    """Make the picture."""

    code: ClassVar[str] = "g"


@dataclass(frozen=True, slots=True)
class Discard(DraftAction):
    """Drop the draft."""

    code: ClassVar[str] = "x"


@dataclass(frozen=True, slots=True)
class ShowGroup(DraftAction):
    """Offer the purposes of a group, by its place on the first screen."""

    code: ClassVar[str] = "G"
    group: int


@dataclass(frozen=True, slots=True)
class ShowPurpose(DraftAction):
    """Offer the first models of a purpose, by its number in the contract."""

    code: ClassVar[str] = "P"
    purpose: int


@dataclass(frozen=True, slots=True)
class ShowShelf(DraftAction):
    """Offer all models of a purpose, a page of them."""

    code: ClassVar[str] = "l"
    purpose: int
    page: int


@dataclass(frozen=True, slots=True)
class ShowFamily(DraftAction):
    """Offer the variants of a model."""

    code: ClassVar[str] = "F"
    purpose: int
    family: str
    page: int


@dataclass(frozen=True, slots=True)
class AskField(DraftAction):
    """Ask for what stands at a place in the inputs."""

    code: ClassVar[str] = "q"
    place: str


@dataclass(frozen=True, slots=True)
class ShowChoicePage(DraftAction):
    """Show another page of the choices at a place."""

    code: ClassVar[str] = "n"
    place: str
    page: int


@dataclass(frozen=True, slots=True)
class ShowItems(DraftAction):
    """Show a page of the items of a list."""

    code: ClassVar[str] = "I"
    place: str
    page: int


@dataclass(frozen=True, slots=True)
class ShowSettings(DraftAction):
    """Show a page of all that the form can be told."""

    code: ClassVar[str] = "y"
    page: int


@dataclass(frozen=True, slots=True)
class FinishList(DraftAction):
    """Go on after the list, or the field of an item, at a place."""

    code: ClassVar[str] = "D"
    place: str


@dataclass(frozen=True, slots=True)
class AddItem(DraftAction):
    """Ask for one more item of a list."""

    code: ClassVar[str] = "i"
    place: str


@dataclass(frozen=True, slots=True)
class DropAnswer(DraftAction):
    """Take back the answer at a place, an item, or the last item of a list."""

    code: ClassVar[str] = "X"
    place: str


@dataclass(frozen=True, slots=True)
class PickBranch(DraftAction):
    """Take one of the ways to fill in the form; -1 asks for the way again."""

    code: ClassVar[str] = "B"
    index: int


@dataclass(frozen=True, slots=True)
class ShowResults(DraftAction):
    """Offer the earlier results that fit what is asked for."""

    code: ClassVar[str] = "r"
    page: int


@dataclass(frozen=True, slots=True)
class TakeResult(DraftAction):
    """Answer with a thing that an earlier job made, by its number from 1; 0 means the job."""

    code: ClassVar[str] = "t"
    job_id: str
    number: int


@dataclass(frozen=True, slots=True)
class RecordConsent(DraftAction):
    """RecordConsent to what a model asks that copies this of a person, one of ConsentKind."""

    code: ClassVar[str] = "C"
    kind: int


@dataclass(frozen=True, slots=True)
class TakeUpload(DraftAction):
    """Answer with the file that was sent on the page, by the message it was offered for."""

    code: ClassVar[str] = "u"
    message_id: int
    kind: int


@dataclass(frozen=True, slots=True)
class JobAction(Action):
    """What is asked of a job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Again(JobAction):
    """Make a new job from the inputs of this one."""

    code: ClassVar[str] = "a"


@dataclass(frozen=True, slots=True)
class Change(JobAction):
    """Begin a draft with the inputs of this job."""

    code: ClassVar[str] = "h"


@dataclass(frozen=True, slots=True)
class Original(JobAction):
    """Send the pictures of this job as files."""

    code: ClassVar[str] = "f"


@dataclass(frozen=True, slots=True)
class ShowAll(JobAction):
    """Send all pictures of this job."""

    code: ClassVar[str] = "A"


@dataclass(frozen=True, slots=True)
class Cancel(JobAction):
    """End the job, or say what that means and ask."""

    code: ClassVar[str] = "k"


@dataclass(frozen=True, slots=True)
class CancelAnyway(JobAction):
    """End the job although it runs."""

    code: ClassVar[str] = "K"


@dataclass(frozen=True, slots=True)
class ShowJob(JobAction):
    """Show how the job goes."""

    code: ClassVar[str] = "j"


@dataclass(frozen=True, slots=True)
class KeepWaiting(JobAction):
    """Let the job go on; asked on a message that does not show its progress."""

    code: ClassVar[str] = "w"


@dataclass(frozen=True, slots=True)
class ShowMissed(Action):
    """Send the results that could not be sent before."""

    code: ClassVar[str] = "b"


ACTIONS: tuple[type[Action], ...] = (
    Home,
    ShowMissed,
    PickKind,
    PickModel,
    ShowModels,
    UseExample,
    ShowDraft,
    ShowOptions,
    ShowChoices,
    SetOption,
    ChangePrompt,
    Generate,
    Discard,
    ShowGroup,
    ShowPurpose,
    ShowShelf,
    ShowFamily,
    AskField,
    ShowChoicePage,
    ShowItems,
    ShowSettings,
    FinishList,
    AddItem,
    DropAnswer,
    PickBranch,
    ShowResults,
    TakeResult,
    RecordConsent,
    TakeUpload,
    Again,
    Change,
    Original,
    ShowAll,
    Cancel,
    CancelAnyway,
    ShowJob,
    KeepWaiting,
    *MONEY_ACTIONS,
)
"""Every action that a button can carry."""
