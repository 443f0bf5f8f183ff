"""Takes a feedback or proposal as a form: consent, one question at a time, summary, code."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from actions.action import (
    MOST_FILES,
    Asked,
    Attachment,
    AttachmentKind,
    CaseTaken,
    Choice,
    Command,
    Draft,
    Form,
    Outcome,
    Press,
    Result,
    Says,
    Share,
    Step,
    WordsWithdrawn,
    says,
)
from actions.cases import CaseCode, CaseKind, Report
from actions.deadlines import Calendar
from actions.triage import Ears, Heard

_ORDER = tuple(Step)
_LONGEST = 4000
_LONGEST_CAPTION = 200
_LONGEST_NUMBER = 2
_DIGITS = 8
_CAPTIONED = {Step.WHERE, Step.WHEN, Step.NAME, Step.CONTACT, Step.SUMMARY}
"""Steps at which words beside a photo tell of the photo rather than answer the question."""
_SHORTEST_STORY = 5

YES, NO, SKIP, KEEP, SEND, AGAIN, CANCEL = "yes", "no", "skip", "keep", "send", "again", "cancel"


def _choice(label: str, value: str, *, once: bool = False) -> Choice:
    return Choice(label, Press(Command.FORM, value=value), once=once)


_CHOICES: dict[Step, tuple[Choice, ...]] = {
    Step.CONSENT: (_choice("consent_yes", YES), _choice("consent_no", NO)),
    Step.WHAT: (),
    Step.WHERE: (_choice("skip_where", SKIP),),
    Step.WHEN: (_choice("skip_when", SKIP),),
    Step.NAME: (_choice("skip_name", SKIP),),
    Step.CONTACT: (_choice("skip_contact", SKIP),),
    Step.SUMMARY: (
        _choice("form_send", SEND, once=True),
        _choice("form_again", AGAIN),
        _choice("form_cancel", CANCEL),
    ),
}

_SKIPPED = dict.fromkeys((Step.WHERE, Step.WHEN, Step.NAME, Step.CONTACT), SKIP)
_HEARD = {
    Heard.REFUSE: {Step.CONSENT: NO, Step.SUMMARY: CANCEL},
    Heard.SKIP: _SKIPPED,
    Heard.START_OVER: {Step.SUMMARY: AGAIN},
}
_AGREED = {Step.CONSENT: YES, Step.SUMMARY: SEND}
_SHARES = {Step.WHERE: Share.LOCATION, Step.CONTACT: Share.CONTACT}
_SHORT_YES = 4
"""A longer yes may hold a "but": it sends nothing."""

_WORDS = {
    "change_answer": (0.5, {Step.SUMMARY: AGAIN}),
    "affirm": (0.8, {**_AGREED, Step.WHAT: KEEP}),
    "deny": (0.6, {Step.CONSENT: NO, Step.SUMMARY: CANCEL, **_SKIPPED}),
}


class TakeCase:
    """The case form: opens, goes on from step to step, and gives a case when it is sent."""

    def __init__(
        self, calendar: Calendar, ears: Ears, draw_code: Callable[[], CaseCode] = CaseCode.draw
    ) -> None:
        self._calendar = calendar
        self._ears = ears
        self._draw_code = draw_code

    def open(self, asked: Asked) -> Outcome:
        """Asks for consent; what was already told is kept aside until it is given."""
        kind = asked.understanding.kind
        if kind not in {CaseKind.FEEDBACK, CaseKind.PROPOSAL}:
            kind = CaseKind.FEEDBACK
        if asked.press and asked.press.value:
            kind = CaseKind(asked.press.value)
        draft = (asked.memory.draft if asked.press else asked.told) or Draft("", asked.now)
        told = draft.text if len(draft.text.split()) >= _SHORTEST_STORY else None
        return self.ask(asked, Form(kind, Step.CONSENT, draft.at, draft=told, files=draft.files))

    def go_on(self, asked: Asked) -> Outcome:
        """Takes the answer to the open question and asks the next one."""
        form = asked.memory.form
        assert form is not None
        captioned = bool(asked.files) and form.step in _CAPTIONED
        files = (*form.files, *(_captioned(asked) if captioned else asked.files))
        form = replace(form, files=files[:MOST_FILES])
        if captioned or (asked.attachments and not asked.text.strip()):
            return self._attached(asked, form, all_kept=len(files) <= MOST_FILES)
        value = asked.press.value if asked.press else self._said(asked, form)
        if value in {CANCEL, NO}:
            return self.cancel(asked)
        match form.step:
            case Step.CONSENT if value != YES:
                return self.ask(asked, form, "consent_needed")
            case Step.SUMMARY:
                return self._finish(asked, form, value)
            case _:
                return self._fill(asked, form, value)

    def _attached(self, asked: Asked, form: Form, *, all_kept: bool) -> Outcome:
        """What was attached without a word: an answer, where the open question asks for it."""
        place = asked.attached(AttachmentKind.LOCATION)
        contact = asked.attached(AttachmentKind.CONTACT)
        if place and form.step is Step.WHERE:
            return self._answered(asked, form, _coordinates(place))
        if place and _ORDER.index(form.step) > _ORDER.index(Step.WHERE):
            told = form.answers.get(Step.WHERE.value)
            where = "; ".join(filter(None, (told, _coordinates(place))))
            placed = {**form.answers, Step.WHERE.value: where}
            return self.ask(asked, replace(form, answers=placed), "location_added")
        if contact and contact.own and contact.phone and form.step is Step.CONTACT:
            return self._answered(asked, form, contact.phone)
        if contact and form.step is Step.CONTACT:
            return self.ask(asked, form, "contact_not_own")
        if asked.files:
            return self.ask(asked, form, "file_added" if all_kept else "files_full")
        unreadable = asked.attached(AttachmentKind.UNREADABLE)
        return self.ask(asked, form, "not_readable" if unreadable else "answer_in_words")

    def cancel(self, asked: Asked) -> Outcome:
        """Drops the form with everything that was told in it."""
        form = asked.memory.form
        assert form is not None
        reply = says("consent_refused" if form.step is Step.CONSENT else "form_cancelled")
        return Outcome(
            Result.CANCELLED,
            (reply,),
            replace(asked.memory, form=None, misses=0),
            events=(WordsWithdrawn(form.since),),
            case_kind=form.kind,
        )

    def keep_aside(self, asked: Asked) -> Form | None:
        """The open form, with a text kept aside where it may have been meant as the story."""
        form = asked.memory.form
        if form is None:
            return None
        form = replace(form, files=(*form.files, *asked.files)[:MOST_FILES])
        if form.step is not Step.WHAT or form.draft or asked.press:
            return form
        return replace(form, draft=asked.text)

    def go_back(self, asked: Asked) -> Outcome:
        """Asks the question before; at the first one it asks for consent again."""
        form = asked.memory.form
        assert form is not None
        before = _ORDER[max(_ORDER.index(form.step) - 1, 0)]
        if before is Step.CONTACT and "name" not in form.answers:
            before = Step.NAME
        return self.ask(asked, replace(form, step=before))

    def ask(self, asked: Asked, form: Form, before: str | None = None) -> Outcome:
        """Puts the form's open question, with a word before it where one is needed."""
        reply = self.question(form, asked)
        first = (says(before),) if before else ()
        return Outcome(
            Result.FORM,
            (*first, reply),
            replace(asked.memory, form=form, misses=0, draft=None),
            case_kind=form.kind,
        )

    def question(self, form: Form, asked: Asked) -> Says:
        """The open question in words, with its choices."""
        facts = {
            "kind": form.kind,
            "answers": {step.value: form.answers.get(step) for step in Step},
            "draft": form.draft,
            "keeps_days": asked.office.keeps_cases_days,
            "reader": asked.office.case_reader,
            "files": len(form.files),
        }
        choices = _CHOICES[form.step]
        if form.step is Step.WHAT and form.draft:
            choices = (_choice("keep_draft", KEEP),)
        return Says(f"form_{form.step}", facts, choices, _SHARES.get(form.step))

    def _said(self, asked: Asked, form: Form) -> str | None:
        meant = asked.understanding
        for heard, values in _HEARD.items():
            if form.step in values and self._ears.hears(heard, asked.text):
                return values[form.step]
        for intent, (sure, values) in _WORDS.items():
            if meant.intents.get(intent, 0.0) >= sure and form.step in values:
                return values[form.step]
        agrees = self._ears.hears(Heard.AGREE, asked.text)
        if agrees and form.step in _AGREED and len(asked.text.split()) <= _SHORT_YES:
            return _AGREED[form.step]
        return None

    def skips(self, asked: Asked) -> bool:
        """Whether a text leaves the open question unanswered rather than the whole form."""
        form = asked.memory.form
        return form is not None and self._said(asked, form) == SKIP

    def start_over(self, asked: Asked) -> Outcome:
        """Asks the first question again; what was told is offered to be kept."""
        form = asked.memory.form
        assert form is not None
        return self._again(asked, form)

    def _again(self, asked: Asked, form: Form) -> Outcome:
        told = form.answers.get("what")
        again = Form(form.kind, Step.WHAT, form.since, draft=told, files=form.files)
        return self.ask(asked, again)

    def _fill(self, asked: Asked, form: Form, value: str | None) -> Outcome:
        if form.step is Step.CONSENT:
            return self.ask(asked, _consented(form))
        answer = form.draft if value == KEEP else asked.text.strip()
        if value == SKIP:
            return self.ask(asked, _next(_without(form, form.step)))
        if not answer:
            return self.ask(asked, form, "answer_in_words")
        if len(answer) > _LONGEST:
            return self.ask(asked, form, "answer_too_long")
        if _CHOICES[form.step] and answer.isdecimal() and len(answer) <= _LONGEST_NUMBER:
            return self.ask(asked, form, "number_not_offered")
        if form.step is Step.CONTACT and not _reaches(answer):
            return self.ask(asked, form, "contact_not_usable")
        return self._answered(asked, form, answer)

    def _answered(self, asked: Asked, form: Form, answer: str) -> Outcome:
        answers = {**form.answers, form.step.value: answer}
        return self.ask(asked, _next(replace(form, answers=answers, draft=None)))

    def _finish(self, asked: Asked, form: Form, value: str | None) -> Outcome:
        if value == AGAIN:
            return self._again(asked, form)
        if value != SEND:
            return self.ask(asked, form, "summary_needs_choice")
        code = self._draw_code()
        due_on = self._calendar.after(asked.day, asked.office.first_answer_within)
        told = form.answers
        report = Report(
            what=told["what"],
            where=told.get("where", ""),
            when=told.get("when", ""),
            name=told.get("name"),
            contact=told.get("contact"),
        )
        reply = says("case_taken", code=str(code), due_on=due_on, anonymous="name" not in told)
        return Outcome(
            Result.CASE_TAKEN,
            (reply,),
            replace(asked.memory, form=None, misses=0),
            events=(CaseTaken(code, form.kind, report, due_on, form.files),),
            case_kind=form.kind,
        )


def _without(form: Form, step: Step) -> Form:
    """A form whose answer to one question is taken back; without a name there is no contact."""
    gone = {step.value, Step.CONTACT.value} if step is Step.NAME else {step.value}
    return replace(form, answers={k: v for k, v in form.answers.items() if k not in gone})


def _consented(form: Form) -> Form:
    """After consent; a story that was told already is the first answer."""
    if form.draft is None:
        return replace(form, step=Step.WHAT)
    answers = {Step.WHAT.value: form.draft}
    return replace(form, step=Step.WHERE, answers=answers, draft=None)


def _next(form: Form) -> Form:
    step = _ORDER[_ORDER.index(form.step) + 1]
    if step is Step.CONTACT and "name" not in form.answers:
        step = Step.SUMMARY
    return replace(form, step=step)


def _captioned(asked: Asked) -> Iterator[Attachment]:
    """The files of a message, which is kept with them as their name: it answers no question."""
    for file in asked.files:
        yield replace(file, name=file.name or asked.text.strip()[:_LONGEST_CAPTION])


def _reaches(contact: str) -> bool:
    """Whether somebody can be called or written to by that."""
    return "@" in contact or sum(letter.isdigit() for letter in contact) >= _DIGITS


def _coordinates(place: Attachment) -> str:
    """A shared place as an answer: degrees north and east, with its name where it has one."""
    degrees = f"{place.latitude:.5f}, {place.longitude:.5f}"
    return f"{place.name} ({degrees})" if place.name else degrees
